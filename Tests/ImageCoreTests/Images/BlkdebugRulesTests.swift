import ImageCore
import Testing

/// Rules of `blkdebug` nodes, from files and from options.
struct BlkdebugRulesTests {
  private func message(_ text: String) -> String? {
    var rules = BlkdebugRules()
    do throws(ImageError) {
      try rules.read(text.rawBytes)
      return nil
    } catch {
      return error.message
    }
  }

  @Test func files() {
    #expect(message("") == nil)
    #expect(message("# nothing\n\n") == nil)
    #expect(message("[inject-error]\n event = \"read_aio\"\n errno=\"28\"\n once = \"on\"\n") == nil)
    #expect(message("[set-state]\nevent = \"pwritev\"\nnew_state = \"2\"") == nil)
    #expect(message("event = \"none\"") == "no group defined")
    #expect(message("[other]") == "There is no option group 'other'")
    #expect(message("[inject-error]\nerrno = \"5\"") == "Missing event name for rule")
    #expect(message("[inject-error]\nevent = \"x\"") == "invalid parameter value: x")
    #expect(message("[inject-error]\nevent = none") == "parse error")
    #expect(message("[inject-error]\nevent = \"") == "parse error")
    #expect(message("[inject-error]\nnew_state = \"1\"") == "Invalid parameter 'new_state'")
  }

  @Test func options() throws {
    let opener = ImageOpener.standard { _ in }
    func rest(_ text: String) throws -> OptionTree {
      var tree = try opener.optionTree(text)
      var rules = BlkdebugRules()
      try rules.take(from: &tree)
      return tree
    }
    #expect(
      try rest("align=512,inject-error.0.event=none,inject-error.1.event=read_aio").members.map(\.key) == ["align"])
    #expect(throws: ImageError.self) { try rest("inject-error.1.event=none") }
    #expect(throws: ImageError.self) { try rest("inject-error.0.event=none,inject-error.0.x=1") }
    #expect(throws: ImageError.self) { try rest("set-state.0.event=none,set-state.0.new_state=x") }
  }

  /// Whatever the bytes, there is an answer.
  @Test func anyBytes() {
    var random = SystemRandomNumberGenerator()
    let whole = "[inject-error]\nevent = \"read_aio\"\nsector = \"99999999999999999999\"\n[set-state]\nstate=\"-1\"\n"
      .rawBytes
    for _ in 0..<4_000 {
      var text = whole
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let place = Int.random(in: 0..<text.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: text[place] = UInt8.random(in: 0...255, using: &random)
        case 1: text.remove(at: place)
        default: text.insert(whole[Int.random(in: 0..<whole.count, using: &random)], at: place)
        }
      }
      var rules = BlkdebugRules()
      try? rules.read(text)
      _ = decodeBase64(text)
    }
  }
}
