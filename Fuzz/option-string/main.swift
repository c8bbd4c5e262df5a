import FuzzSupport
import ImageCore

// -o strings: splitting, values of every kind, the lines that are printed about them.
let table = [
  OptionDefinition("size", .size, "a size"), OptionDefinition("bits", .number, "a number", default: "16"),
  OptionDefinition("lazy", .boolean, "a truth value", default: "off"), OptionDefinition("name", .text, "a text"),
]

fuzz { bytes in
  var string = OptionString()
  guard (try? string.append(String(rawBytes: bytes.array(0..<bytes.byteCount)))) != nil else { return }
  if string.asksForHelp { return }
  var values = OptionValues(table)
  guard (try? string.apply(to: &values) { _ in }) != nil else { return }
  // What was set is shown in a form that can be given again, and means the same then.
  let line = formattingLine(file: "f", format: "x", options: values)
  precondition(line.hasPrefix("Formatting 'f', fmt=x "))
  var again = OptionString()
  for definition in table {
    guard let text = values[definition.name]?.text else { continue }
    guard (try? again.append("\(definition.name)=\(doublingCommas(text))")) != nil else { return }
  }
  var copy = OptionValues(table)
  guard (try? again.apply(to: &copy) { _ in }) != nil || again.text == nil else { preconditionFailure() }
  precondition(copy == values)
}
