import Testing

@testable import BtrfsImage

@Suite struct CompressionPlans {
  @Test func share() {
    // Short enough already; a quarter of the way, rounded up; all the way, and further than that.
    #expect(CompressionPlan.share(1000, quick: 1000, thorough: 900) == 0)
    #expect(CompressionPlan.share(1000, quick: 1025, thorough: 925) == 16)
    #expect(CompressionPlan.share(1000, quick: 1026, thorough: 926) == 17)
    #expect(CompressionPlan.share(1000, quick: 1100, thorough: 1000) == 64)
    #expect(CompressionPlan.share(1000, quick: 1100, thorough: 1050) == 64)
    // The thorough level is the longer one.
    #expect(CompressionPlan.share(1000, quick: 1100, thorough: 1200) == 0)
    #expect(CompressionPlan.share(0, quick: 0, thorough: 0) == 0)
  }

  @Test func thoroughItemsLieAmongTheOthers() {
    for share in 0...64 {
      let plan = CompressionPlan(quick: 7, thorough: 10, share: share)
      let thorough = (0..<640).filter(plan.isThorough)
      #expect(thorough.count == 10 * share)
      // As far apart as they can be, but for one.
      let gaps = zip(thorough, thorough.dropFirst()).map { $1 - $0 }
      #expect(gaps.allSatisfy { $0 >= 64 / share && $0 <= (64 + share - 1) / share })
    }
  }
}
