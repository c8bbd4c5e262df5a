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

/// What is said about a hexadecimal number with a suffix.
package func hexMultiplierWarning(_ text: String) -> String {
  "Using a multiplier suffix on hex numbers is deprecated: \(text)"
}
