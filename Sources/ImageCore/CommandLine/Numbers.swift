import Bytes

// Numbers of the command line and of -o options, with the words that the reference has for bad ones (§3.2, §3.3).

/// Reads a size operand or argument. A hexadecimal number with a suffix is reported as a warning.
///
/// - Parameters:
///   - name: what the number is, as in `Invalid image size specified.`
///   - range: the values allowed.
/// - Throws: one line, or two with a newline between them, which both get the program's prefix.
package func sizeArgument(
  _ text: String, name: String, in range: ClosedRange<UInt64> = 0...UInt64(Int64.max), warn: (String) -> Void
) throws(ImageError) -> UInt64 {
  let parsed = parseSize(text.rawBytes)
  if parsed.usedHexMultiplier { warn(hexMultiplierWarning(text)) }
  switch parsed.value {
  case .success(let value) where range.contains(value):
    return value
  case .failure(.malformed):
    throw ImageError(
      """
      Invalid \(name) specified. You may use k, M, G, T, P or E suffixes for
      kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes.
      """)
  default:
    throw ImageError(
      "Invalid \(name) specified. Must be between \(range.lowerBound) and \(range.upperBound).", errno: 34 /* ERANGE */)
  }
}

/// Reads the value of an option according to its definition.
package func optionValue(
  _ text: String, for option: OptionDefinition, warn: (String) -> Void
) throws(ImageError) -> OptionValue {
  switch option.kind {
  case .text:
    return OptionValue(text: text)
  case .boolean:
    guard let value = parseBoolean(text) else {
      throw ImageError("Parameter '\(option.name)' expects 'on' or 'off'")
    }
    return OptionValue(text: text, parsed: .boolean(value))
  case .number:
    switch parseInteger(text.rawBytes) {
    case .success(let value): return OptionValue(text: text, parsed: .number(value))
    case .failure(.malformed): throw ImageError("Parameter '\(option.name)' expects a number")
    case .failure(.outOfRange):
      throw ImageError("Value '\(text)' is too large for parameter '\(option.name)'", errno: 34)
    }
  case .size:
    let parsed = parseSize(text.rawBytes)
    if parsed.usedHexMultiplier { warn(hexMultiplierWarning(text)) }
    switch parsed.value {
    case .success(let value): return OptionValue(text: text, parsed: .number(value))
    case .failure(.malformed):
      throw ImageError(
        "Parameter '\(option.name)' expects a non-negative number below 2^64",
        hint: """
          Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-
          and exabytes, respectively.
          """)
    case .failure(.outOfRange):
      throw ImageError("Value '\(text)' is out of range for parameter '\(option.name)'", errno: 34)
    }
  }
}

private func hexMultiplierWarning(_ text: String) -> String {
  "Using a multiplier suffix on hex numbers is deprecated: \(text)"
}
