import ImageCore

/// `qemu-img check` (qemu-img-cli-1 §9).
enum CheckCommand: Command {
  static let name = "check"
  static let synopsis =
    "[--object objectdef] [--image-opts] [-q] [-f fmt] [--output=ofmt] [-r [leaks | all]] [-T src_cache] [-U] filename"

  private static let options: [CommandOption<Option>] =
    CommandOption.common + [
      CommandOption(.format, "f", "format", .required),
      CommandOption(.repair, "r", "repair", .required),
      .output,
      CommandOption(.sourceCache, "T", "cache", .required, isAddition: true),
      CommandOption(.quiet, "q", "quiet", isAddition: true),
      .forceShare, .imageOptions,
    ]

  /// The statuses beside 0 and 1.
  private enum Status {
    static let corrupt: Int32 = 2
    static let leaks: Int32 = 3
    static let notSupported: Int32 = 63
  }

  static func run(_ words: [String], _ tool: Tool) throws(Stop) -> Int32 {
    let arguments = try Arguments(words, options, tool) { (option, value) throws(Stop) in
      if option == .repair, value != "leaks", value != "all" {
        throw .usage("Unknown option value for -r (expecting 'leaks' or 'all'): \(value)")
      }
    }
    let operand = try arguments.singleOperand()
    let json = try arguments.wantsJSON()
    let cache = try arguments.cacheMode(.sourceCache, message: "Invalid source cache option")
    let repair: RepairMode =
      switch arguments.value(.repair) {
      case "leaks": .leaks
      case "all": .all
      default: .none
      }
    let image = try tool.open(operand, arguments) { options in
      options.cache = cache
      options.isCheck = true
      if repair != .none { options.use = .write }
    }
    guard let image = image as? any CheckableImage else {
      throw .failure(ImageError("This image format does not support checks"), status: Status.notSupported)
    }
    let outcome = try check(image, repair, json: json, tool)
    if !arguments.has(.quiet) {
      tool.console.print(json ? outcome.json(image, operand).prettyJSON() + "\n" : outcome.human)
    }
    let result = outcome.result
    if result.checkErrors > 0 { throw .failed("Check failed") }
    if result.corruptions > 0 { return Status.corrupt }
    return result.leaks > 0 ? Status.leaks : 0
  }

  /// Checks, and after a repair checks again: the second result is what counts.
  private static func check(
    _ image: any CheckableImage, _ repair: RepairMode, json: Bool, _ tool: Tool
  ) throws(Stop) -> CheckOutcome {
    do throws(ImageError) {
      var outcome = CheckOutcome(
        result: try image.check(repair: repair) { tool.console.note($0) }, filename: image.filename)
      let fixed = (corruptions: outcome.result.corruptionsFixed, leaks: outcome.result.leaksFixed)
      if fixed.corruptions > 0 || fixed.leaks > 0 {
        if !json { outcome.fixed = fixed }
        outcome.result = try image.check(repair: .none) { tool.console.note($0) }
        outcome.result.corruptionsFixed = fixed.corruptions
        outcome.result.leaksFixed = fixed.leaks
      }
      if let writable = image as? any WritableDiskImage, repair != .none { try writable.close() }
      return outcome
    } catch {
      throw .failed(ImageError("Check failed: \(errorText(error.errno))", errno: error.errno))
    }
  }
}

/// What a check found, ready to be told.
private struct CheckOutcome {
  var result: CheckResult
  let filename: String
  /// What a repair has set right, for the human form.
  var fixed: (corruptions: Int, leaks: Int)?

  init(result: CheckResult, filename: String) {
    self.result = result
    self.filename = filename
  }

  var human: String {
    var text = ""
    if let fixed {
      text += """
        The following inconsistencies were found and repaired:

            \(fixed.leaks) leaked clusters
            \(fixed.corruptions) corruptions

        Double checking the fixed image now...

        """
    }
    if result.corruptions == 0, result.leaks == 0, result.checkErrors == 0 {
      text += "No errors were found on the image.\n"
    } else {
      if result.corruptions > 0 {
        text += """

          \(result.corruptions) errors were found on the image.
          Data may be corrupted, or further writes to the image may corrupt it.

          """
      }
      if result.leaks > 0 {
        text += """

          \(result.leaks) leaked clusters were found on the image.
          This means waste of disk space, but no harm to data.

          """
      }
      if result.checkErrors > 0 {
        text += "\n\(result.checkErrors) internal errors have occurred during the check.\n"
      }
    }
    if result.totalClusters > 0, result.allocatedClusters > 0 {
      text += """
        \(result.allocatedClusters)/\(result.totalClusters) = \
        \(percentage(result.allocatedClusters, of: result.totalClusters))% allocated, \
        \(percentage(result.fragmentedClusters, of: result.allocatedClusters))% fragmented, \
        \(percentage(result.compressedClusters, of: result.allocatedClusters))% compressed clusters

        """
    }
    if let end = result.imageEndOffset, end > 0 { text += "Image end offset: \(end)\n" }
    return text
  }

  func json(_ image: any DiskImage, _ operand: String) -> DataTree {
    var members: [DataTree.Member] = [
      ("check-errors", .number(result.checkErrors)), ("filename", .string(operand)), ("format", .string(image.format)),
    ]
    func add(_ key: String, _ value: UInt64) {
      if value > 0 { members.append((key, .number(value))) }
    }
    add("image-end-offset", result.imageEndOffset ?? 0)
    add("corruptions", UInt64(clamping: result.corruptions))
    add("leaks", UInt64(clamping: result.leaks))
    add("corruptions-fixed", UInt64(clamping: result.corruptionsFixed))
    add("leaks-fixed", UInt64(clamping: result.leaksFixed))
    add("total-clusters", result.totalClusters)
    add("allocated-clusters", result.allocatedClusters)
    add("fragmented-clusters", result.fragmentedClusters)
    add("compressed-clusters", result.compressedClusters)
    return .object(members)
  }
}

/// A share in percent with two decimals, rounded as C's `%0.2f` rounds the nearest double: 15.625 gives 15.62.
private func percentage(_ part: UInt64, of whole: UInt64) -> String {
  let share = Double(part) * 100 / Double(whole)
  let scaled = share * 100
  // What the multiplication lost decides where the result looks like a tie.
  let lost = (-scaled).addingProduct(share, 100)
  var hundredths = scaled.rounded(.down)
  let rest = scaled - hundredths
  if rest > 0.5 || (rest == 0.5 && lost > 0)
    || (rest == 0.5 && lost == 0 && !hundredths.truncatingRemainder(dividingBy: 2).isZero)
  {
    hundredths += 1
  }
  guard let number = UInt64(exactly: hundredths) else { return "0.00" }
  let decimals = number % 100
  return "\(number / 100).\(decimals < 10 ? "0" : "")\(decimals)"
}
