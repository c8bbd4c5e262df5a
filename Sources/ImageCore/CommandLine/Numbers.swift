import Bytes

// Numbers of the command line, with the words that the reference has for bad ones (§3.2).

/// Reads a size operand or argument. A hexadecimal number with a suffix is reported as a warning.
///
/// - Parameters:
///   - name: what the number is, as in `Invalid image size specified.`
///   - range: the values allowed.
/// - Throws: the reference's one or two lines.
package func sizeArgument(
  _ text: String, name: String, in range: ClosedRange<UInt64> = 0...UInt64(Int64.max), warn: (String) -> Void
) throws(ImageError) -> UInt64 {
  let parsed = parseSize(text.rawBytes)
  if parsed.usedHexMultiplier { warn(hexMultiplierWarning(text)) }
  switch parsed.value {
  case .success(let value) where range.contains(value):
    return value
  case .failure(.malformed):
    var error = ImageError("Invalid \(name) specified. You may use k, M, G, T, P or E suffixes for")
    error.continuation = "kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes."
    throw error
  default:
    throw ImageError(
      "Invalid \(name) specified. Must be between \(range.lowerBound) and \(range.upperBound).", errno: 34 /* ERANGE */)
  }
}
