extension FixedWidthInteger where Self: UnsignedInteger {
  /// The value rounded down to a multiple of `unit` (> 0).
  @inlinable package func roundedDown(to unit: Self) -> Self { self - self % unit }

  /// The value rounded up to a multiple of `unit` (> 0), or nil if that does not fit the type.
  @inlinable package func roundedUp(to unit: Self) -> Self? {
    let rest = self % unit
    if rest == 0 { return self }
    let (sum, overflow) = addingReportingOverflow(unit - rest)
    return overflow ? nil : sum
  }

  /// The quotient rounded up; cannot overflow.
  @inlinable package func dividedUp(by unit: Self) -> Self { self / unit + (self % unit == 0 ? 0 : 1) }

  /// The sum, or the largest value of the type where it would not fit.
  @inlinable package func saturatingAdd(_ other: Self) -> Self {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }

  /// The product, or the largest value of the type where it would not fit.
  @inlinable package func saturatingMultiply(by other: Self) -> Self {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? .max : product
  }
}
