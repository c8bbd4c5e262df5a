/// A creation option that a format or protocol knows (`-o NAME=VALUE`).
public struct OptionDefinition: Sendable, Equatable {
  /// What values an option takes.
  public enum Kind: Sendable, Equatable {
    case text
    case boolean
    /// An integer in C notation, base 0.
    case number
    /// Bytes, with a suffix.
    case size
  }

  /// The name before `=`.
  public var name: String
  /// What values it takes.
  public var kind: Kind
  /// The text of the option list that `-o help` prints.
  public var help: String
  /// The default that is shown when nothing was set, as text; nil when the option is then not mentioned.
  public var defaultText: String?

  /// A definition.
  public init(_ name: String, _ kind: Kind, _ help: String, default defaultText: String? = nil) {
    self.name = name
    self.kind = kind
    self.help = help
    self.defaultText = defaultText
  }
}

/// The value that was given to an option, checked against its kind.
public struct OptionValue: Sendable, Equatable {
  /// What was parsed.
  public enum Parsed: Sendable, Equatable {
    case text
    case boolean(Bool)
    /// A number or a size in bytes.
    case number(UInt64)
  }

  /// As the user wrote it.
  public var text: String
  /// What it was read as.
  public var parsed: Parsed

  /// A value.
  public init(text: String, parsed: Parsed = .text) {
    self.text = text
    self.parsed = parsed
  }
}

/// The options of one creation: the definitions in their declared order, and what was set.
public struct OptionValues: Sendable, Equatable {
  /// The format's options, then those of the protocol that are not in the format's list.
  public private(set) var definitions: [OptionDefinition]
  private var values: [String: OptionValue] = [:]

  /// No values yet. A definition whose name came before is dropped.
  public init(_ definitions: [OptionDefinition]) {
    var names: Set<String> = []
    self.definitions = definitions.filter { names.insert($0.name).inserted }
  }

  /// The definition of `name`, or nil when there is no such option.
  package func definition(_ name: String) -> OptionDefinition? { definitions.first { $0.name == name } }

  /// The value that was set; not the default.
  package subscript(_ name: String) -> OptionValue? {
    get { values[name] }
    set { values[name] = newValue }
  }

  /// The text that was set, or the default's.
  package func text(_ name: String) -> String? { values[name]?.text ?? definition(name)?.defaultText }

  /// The number or size in bytes that was set; not the default.
  package func number(_ name: String) -> UInt64? {
    if case .number(let value)? = values[name]?.parsed { return value }
    return nil
  }

  /// The truth value that was set; not the default.
  package func boolean(_ name: String) -> Bool? {
    if case .boolean(let value)? = values[name]?.parsed { return value }
    return nil
  }

  /// Sets a text option from within the program.
  package mutating func set(_ name: String, text: String) { values[name] = OptionValue(text: text) }

  /// Sets a number or size (bytes) from within the program.
  package mutating func set(_ name: String, number: UInt64) {
    values[name] = OptionValue(text: String(number), parsed: .number(number))
  }
}
