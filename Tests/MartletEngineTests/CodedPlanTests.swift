import CKernels
import Glibc
import Testing

@testable import MartletEngine

/// Coded plan kinds in every variant that this processor can run, against the reference walk.
///
/// MARTLET_PROVE_MODELS is how many random ensembles are made in all (default: 112, half of them in double precision),
/// MARTLET_PROVE_SEED where their sequence begins.
@Suite("Coded plan kinds of tree ensembles")
struct CodedPlanTests {
  private static func environment(_ name: String, default value: Int) -> Int {
    getenv(name).flatMap { Int(String(cString: $0)) } ?? value
  }

  private static let parts = 8
  private static let models = environment("MARTLET_PROVE_MODELS", default: 112)
  private static let seed = environment("MARTLET_PROVE_SEED", default: 1)

  /// The processor levels to test.
  private static let levels = 0...martlet_cpu_highest()

  private func plans<Value: TreeValue>(
    _ ensemble: TreeEnsemble<Value>, levels: ClosedRange<Int32>
  ) -> [(name: String, plan: TreePlan<Value>)] {
    var plans: [(String, TreePlan<Value>)] = []
    let source = PlanSource(ensemble, .sum)
    for level in levels {
      if let plan = SelectPlan(source, level: level) { plans.append(("select \(level)", plan)) }
      if let plan = RowPlan(source, level: level) { plans.append(("rows \(level)", plan)) }
      if let plan = RowPlan(source, level: level, width: .word) {
        plans.append(("wide rows \(level)", plan))
      }
      if let plan = PlanePlan(source, level: level) { plans.append(("planes \(level)", plan)) }
      if let plan = GatherPlan(source, level: level) { plans.append(("gather \(level)", plan)) }
      if let plan = GatherPlan(source, level: level, width: .word) { plans.append(("wide gather \(level)", plan)) }
      // Pages so small that each way goes through several.
      if let plan = GatherPlan(source, level: level, pagePairs: 3) { plans.append(("paged gather \(level)", plan)) }
    }
    return plans
  }

  /// Bits of a value and whether it is a score.
  private struct Score: Equatable {
    var bits: UInt64
    var isScored: Bool
  }

  private func collect<Value: TreeValue>(
    _ ensemble: TreeEnsemble<Value>, count: Int, _ body: (TreeScores<Value>) -> Void
  ) -> [Score] {
    var values = [Value](repeating: 0, count: count * ensemble.targets)
    var isScored = [Bool](repeating: ensemble.scoresEveryTarget, count: values.count)
    values.withUnsafeMutableBufferPointer { values in
      isScored.withUnsafeMutableBufferPointer { isScored in
        body(TreeScores(values: values.baseAddress!, isScored: isScored.baseAddress!))
      }
    }
    return zip(values, isScored).map {
      Score(bits: Double($0).bitPattern, isScored: ensemble.targets == 1 || $1)
    }
  }

  /// Compares all plans on rows of every kind of value; returns the names of the plans that took the ensemble.
  @discardableResult
  private func compare<Value: TreeValue>(
    _ made: RandomEnsemble<Value>, counts: [Int], label: String, _ random: inout SplitMix
  ) -> Set<String> {
    let stride = max(1, made.ensemble.features + Int.random(in: 0...3, using: &random))
    return compare(made.ensemble, counts: counts, stride: stride, label: label, &random) {
      count, random in
      made.rows(count, stride: stride, hasMissing: random.chance(0.6), &random)
    }
  }

  @discardableResult
  private func compare<Value: TreeValue>(
    _ ensemble: TreeEnsemble<Value>, counts: [Int], stride: Int, levels: ClosedRange<Int32> = Self.levels,
    label: String, _ random: inout SplitMix, rows make: (_ count: Int, _ random: inout SplitMix) -> [Value]
  ) -> Set<String> {
    let plans = plans(ensemble, levels: levels)
    let starts = (0..<ensemble.targets).map { _ in Value(Float.random(in: -2...2, using: &random)) }
    for count in counts {
      let rows = make(count, &random)
      let expected = collect(ensemble, count: count) { scores in
        ensemble.aggregate(.sum, rows, stride: stride, count: count, into: scores, startsAt: starts)
      }
      // Memory of the exact size, so that a sanitizer sees what is read behind the last row.
      let input = UnsafeMutablePointer<Value>.allocate(capacity: count * stride)
      input.initialize(from: rows, count: count * stride)
      defer { input.deallocate() }
      for (name, plan) in plans {
        let bytes = plan.temporaryBytes(rows: count)
        let temporary = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes + 64, alignment: 64)
        defer { temporary.deallocate() }
        memset(temporary.baseAddress!, 0xa5, temporary.count)
        let actual = collect(ensemble, count: count) { scores in
          for place in 0..<(count * ensemble.targets) {
            scores.values[place] = starts[place % ensemble.targets]
          }
          plan.add(
            input, stride: stride, count: count, to: scores, temporary: temporary.baseAddress!)
        }
        #expect(
          temporary[bytes...].allSatisfy { $0 == 0xa5 },
          "\(label), \(name): wrote behind its memory")
        if let place = expected.indices.first(where: { expected[$0] != actual[$0] }) {
          Issue.record(
            "\(label), \(name), \(count) rows: \(actual[place]) at \(place), expected \(expected[place])"
          )
        }
      }
    }
    return Set(plans.map(\.name))
  }

  /// A shape that coded kinds can take: one weight a leaf, or none that differ in their targets.
  private static func shape(_ random: inout SplitMix) -> EnsembleShape {
    var shape = EnsembleShape.random(&random)
    shape.trees = Int.random(in: 1...10, using: &random)
    shape.depth = [1, 2, 3, 4, 5, 6, 7, 8, 12].randomElement(using: &random)!
    if shape.depth == 12 { shape.leafChance = 0.3 }
    shape.targets = [1, 1, 1, 1, 2].randomElement(using: &random)!
    shape.weightsOfLeaf = 1
    return shape
  }

  @Test(
    "every kind gives the bits of the walk in every variant of this processor", arguments: 0..<parts
  )
  func bits(part: Int) {
    var random = SplitMix(UInt64(truncatingIfNeeded: Self.seed &* 1_000_003 &+ part))
    var taken: Set<String> = []
    for index in 0..<(Self.models / Self.parts) {
      let shape = Self.shape(&random)
      let label = "seed \(Self.seed), part \(part), ensemble \(index): \(shape)"
      let counts = [
        1, Int.random(in: 2...9, using: &random),
        [63, 64, 65, 130, 300, 513].randomElement(using: &random)!,
      ]
      if index.isMultiple(of: 2) {
        taken.formUnion(
          compare(RandomEnsemble<Float>(shape, &random), counts: counts, label: label, &random))
      } else {
        taken.formUnion(
          compare(RandomEnsemble<Double>(shape, &random), counts: counts, label: label, &random))
      }
    }
    for level in Self.levels {
      for kind in ["select", "rows", "wide rows", "planes"] {
        #expect(taken.contains("\(kind) \(level)"))
      }
      for kind in ["gather", "wide gather", "paged gather"] {
        #expect(taken.contains("\(kind) \(level)") == (level >= MARTLET_CPU_AVX2))
      }
    }
  }

  @Test("trees that go in groups add up in order, and so do those that are left over")
  func groups() {
    var random = SplitMix(9)
    for trees in [3, 4, 31, 32, 33, 70, 100] {
      let shape = EnsembleShape(trees: trees, depth: 6, leafChance: 0.02)
      let label = "\(trees) trees"
      compare(RandomEnsemble<Float>(shape, &random), counts: [1, 5, 64], label: label, &random)
      compare(RandomEnsemble<Double>(shape, &random), counts: [1, 5, 64], label: label, &random)
    }
  }

  /// One tree of one node for each test, over one feature; the leaves of different trees differ.
  private func ensemble<Value: TreeValue>(
    _ tests: [(BranchMode, Value, Bool)], sets: [MemberSet<Value>] = []
  ) throws -> TreeEnsemble<Value> {
    var builder = TreeEnsembleBuilder<Value>()
    builder.sets = sets
    for (mode, value, tracksTrue) in tests {
      let root = UInt32(builder.sources.count)
      builder.roots.append(root)
      builder.sources.append(
        .init(
          mode: mode, feature: 0, tracksTrue: tracksTrue, value: value, whenTrue: root + 1,
          whenFalse: root + 2))
      for leaf in 1...2 as ClosedRange<UInt32> {
        builder.sources.append(
          .init(mode: .leaf, feature: 0, tracksTrue: false, value: 0, whenTrue: 0, whenFalse: 0))
        builder.leaves.append(
          .init(node: root + leaf, target: 0, value: Value(root) + Value(leaf) / 8))
      }
    }
    return try builder.build(targets: 1)
  }

  /// A value, its neighbours, and numbers near it.
  private func around<Value: TreeValue>(_ values: [Value]) -> [Value] {
    var rows: [Value] = [
      .nan, .infinity, -.infinity, 0, -0.0, .leastNonzeroMagnitude, -.leastNonzeroMagnitude,
    ]
    for value in values {
      rows += [value, value.nextUp, value.nextDown, -value]
      rows += [value + 1, value - 1, value + 0.5, value - 0.5]
    }
    return rows
  }

  private func compareTests<Value: TreeValue>(
    _ modes: [BranchMode], _ values: [Value], sets: [MemberSet<Value>] = [], near: [Value], label: String
  ) throws {
    var random = SplitMix(5)
    var tests: [(BranchMode, Value, Bool)] = []
    for mode in modes {
      for value in values { tests += [(mode, value, false), (mode, value, true)] }
    }
    let rows = around(near)
    // All tests together, and each alone: its feature has no other cuts then.
    for tests in [tests] + tests.map({ [$0] }) {
      let levels = tests.count > 1 ? Self.levels : Self.levels.upperBound...Self.levels.upperBound
      let ensemble = try ensemble(tests, sets: sets)
      let taken = compare(
        ensemble, counts: [rows.count], stride: 1, levels: levels, label: "\(label) \(tests)", &random
      ) { _, _ in rows }
      #expect(!taken.isEmpty)
    }
  }

  @Test("every mode decides as the walk at zeros of both signs, infinities, missing values and the smallest numbers")
  func oddThresholds() throws {
    let modes: [BranchMode] = [.lessOrEqual, .less, .greaterOrEqual, .greater, .equal, .notEqual]
    let floats: [Float] = [
      0, -0.0, .infinity, -.infinity, .nan, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude,
      -.leastNonzeroMagnitude, 1, 1.5,
    ]
    try compareTests(modes, floats, near: floats, label: "float")
    let doubles = floats.map { Double($0) }
    try compareTests(modes, doubles, near: doubles, label: "double")
  }

  @Test("sets take the same values on codes: negative, huge and fractional members, and categories")
  func sets() throws {
    func compare<Value: TreeValue>(_: Value.Type) throws {
      let sets: [MemberSet<Value>] = [
        MemberSet([]), MemberSet([0]), MemberSet([1, 3, 30]), MemberSet([0, 31]), MemberSet([-3, 40, 41, 43]),
        MemberSet([0.5, 40]), MemberSet([-.infinity, .infinity]), MemberSet([0x1p62, -0x1p62, 7]),
        MemberSet([-0x1p63, 5]), MemberSet(categories: [], zeroFromBelow: false),
        MemberSet(categories: [0, 2, 5], zeroFromBelow: true), MemberSet(categories: [0, 2, 5], zeroFromBelow: false),
        MemberSet(categories: [.min, .max, 1 << 24 + 1, 1 << 53 + 1, -1], zeroFromBelow: true),
      ]
      try compareTests(
        [.member], sets.indices.map { Value($0) }, sets: sets,
        near: [0, 1, 2, 3, 5, 7, 30, 31, 40, 42, 43, 0x1p24, 0x1p53, 0x1p62, 0x1p63, 0.5],
        label: "\(Value.self)")
    }
    try compare(Float.self)
    try compare(Double.self)
  }

  @Test("a chain of tests for equality that lead to one sub-tree is one test on codes")
  func chains() throws {
    var builder = TreeEnsembleBuilder<Float>()
    let leaf = TreeEnsembleBuilder<Float>.Source(
      mode: .leaf, feature: 0, tracksTrue: false, value: 0, whenTrue: 0, whenFalse: 0)
    for index in 0..<20 as Range<UInt32> {
      builder.sources.append(
        .init(
          mode: .equal, feature: 3, tracksTrue: false, value: Float(index * 3), whenTrue: 20,
          whenFalse: index + 1))
    }
    builder.sources[19].whenFalse = 21
    builder.sources += [leaf, leaf]
    builder.roots = [0]
    builder.leaves = [.init(node: 20, target: 0, value: 1), .init(node: 21, target: 0, value: 2)]
    let ensemble = try builder.build(targets: 1)
    let coded = try #require(Float.coded(ensemble, .byte))
    #expect(coded.nodes.count == 1)
    #expect(coded.columns == 1)
    #expect(coded.values == [2, 1])
    var random = SplitMix(6)
    compare(ensemble, counts: [70], stride: 4, label: "chain", &random) { count, random in
      (0..<(4 * count)).map { _ in Float(Int.random(in: -2...62, using: &random)) }
    }
  }

  @Test("deep trees add what leaves of several targets share, zeros of both signs among it, on rows at all thresholds")
  func sharedLeaves() throws {
    func compareDeep<Value: TreeValue>(_: Value.Type, targets: Int, depth: Int) throws {
      var random = SplitMix(UInt64(depth))
      let levels = (0..<300).map { _ in Value(Float.random(in: -8...8, using: &random)) }
      let values: [Value] = [0, -0.0, 0.005, .leastNonzeroMagnitude, -1]
      var builder = TreeEnsembleBuilder<Value>()
      func grow(_ depth: Int) -> UInt32 {
        let index = builder.sources.count
        builder.sources.append(
          .init(
            mode: depth == 0 ? .leaf : [.lessOrEqual, .less, .greater].randomElement(using: &random)!,
            feature: Int32.random(in: 0..<5, using: &random), tracksTrue: random.chance(0.5),
            value: levels.randomElement(using: &random)!, whenTrue: 0, whenFalse: 0))
        if depth == 0 {
          for target in 0..<targets {
            builder.leaves.append(
              .init(node: UInt32(index), target: Int32(target), value: values.randomElement(using: &random)!))
          }
        } else {
          builder.sources[index].whenTrue = grow(random.chance(0.2) ? min(depth / 2, 5) : 0)
          builder.sources[index].whenFalse = grow(depth - 1)
        }
        return UInt32(index)
      }
      for _ in 0..<70 { builder.roots.append(grow(Int.random(in: 1...depth, using: &random))) }
      let near = around(levels)
      let taken = compare(
        try builder.build(targets: targets), counts: [1, 7, 100], stride: 5, label: "depth \(depth)", &random
      ) { count, random in (0..<(5 * count)).map { _ in near.randomElement(using: &random)! } }
      for level in Self.levels where level >= MARTLET_CPU_AVX2 { #expect(taken.contains("gather \(level)")) }
    }
    for (targets, depth) in [(1, 40), (3, 12), (2, 120)] {
      try compareDeep(Float.self, targets: targets, depth: depth)
      try compareDeep(Double.self, targets: targets, depth: depth)
    }
  }

  @Test("trees that grew leaf by leaf: chains, single leaves, an odd number, several targets or one of several")
  func leafwise() throws {
    func compareGrown<Value: TreeValue>(
      _: Value.Type, trees: Int, targets: Int, features: Int, most: Int = 32, isDeep: Bool = true, only: Int? = nil
    ) throws {
      var random = SplitMix(UInt64(trees * 1_000 + targets * 300 + features + most))
      let levels = (0..<200).map { _ in Value(Float.random(in: -8...8, using: &random)) }
      let leaf = TreeEnsembleBuilder<Value>.Source(
        mode: .leaf, feature: 0, tracksTrue: false, value: 0, whenTrue: 0, whenFalse: 0)
      var builder = TreeEnsembleBuilder<Value>()
      for tree in 0..<trees {
        let root = builder.sources.count
        builder.roots.append(UInt32(root))
        builder.sources.append(leaf)
        var open = [root]
        // The first has the most nodes, and is too deep for a complete tree, as all are that have more than 32.
        let tests = tree == 0 && isDeep ? most : Int.random(in: 0...most, using: &random)
        for _ in 0..<tests {
          let isChain = isDeep && (tree == 0 || random.chance(0.5))
          let split = open.remove(at: isChain ? open.count - 1 : Int.random(in: 0..<open.count, using: &random))
          let low = UInt32(builder.sources.count)
          builder.sources[split] = .init(
            mode: [.lessOrEqual, .less, .greater].randomElement(using: &random)!,
            feature: Int32.random(in: 0..<Int32(features), using: &random), tracksTrue: random.chance(0.5),
            value: levels.randomElement(using: &random)!, whenTrue: low, whenFalse: low + 1)
          builder.sources += [leaf, leaf]
          open += [Int(low), Int(low) + 1]
        }
        for place in open {
          for target in 0..<targets where only.map({ $0 == target }) ?? (tree % 3 == 0 || target == tree % targets) {
            builder.leaves.append(
              .init(
                node: UInt32(place), target: Int32(target),
                value: random.chance(0.1) ? -0.0 : Value(Float.random(in: -1...1, using: &random))))
          }
        }
      }
      let near = around(levels)
      let taken = compare(
        try builder.build(targets: targets), counts: [1, 2, 9, 70], stride: features,
        label: "\(trees) trees of \(targets) targets over \(features) features", &random
      ) { count, random in (0..<(features * count)).map { _ in near.randomElement(using: &random)! } }
      for level in Self.levels { #expect(taken.contains("rows \(level)")) }
    }
    for (trees, targets, features) in [(1, 1, 5), (2, 1, 70), (31, 1, 130), (90, 1, 20), (7, 3, 9), (60, 2, 80)] {
      try compareGrown(Float.self, trees: trees, targets: targets, features: features)
      try compareGrown(Double.self, trees: trees, targets: targets, features: features)
    }
    // Complete trees, and pairs, whose codes lie in one, two and four registers of sixteen bytes, and in more.
    for (features, isDeep) in [14, 30, 60, 90].flatMap({ [($0, false), ($0, true)] }) {
      let most = isDeep ? 32 : 6
      try compareGrown(Float.self, trees: 70, targets: 1, features: features, most: most, isDeep: isDeep)
      try compareGrown(Double.self, trees: 33, targets: 3, features: features, most: most, isDeep: isDeep)
    }
    // Complete trees, pairs, one chunk and several.
    for (most, isDeep) in [(5, false), (32, true), (60, true), (150, true)] {
      for only in 0..<2 {
        try compareGrown(Float.self, trees: 37, targets: 2, features: 9, most: most, isDeep: isDeep, only: only)
        try compareGrown(Double.self, trees: 37, targets: 2, features: 9, most: most, isDeep: isDeep, only: only)
      }
    }
  }

  @Test("gathers are tried for sums of trees of more than 64 leaves, where the processor has them")
  func gathersOfDeepTrees() {
    var random = SplitMix(3)
    let shallow = RandomEnsemble<Float>(EnsembleShape(depth: 6, leafChance: 0), &random).ensemble
    let deep = RandomEnsemble<Float>(EnsembleShape(depth: 7, leafChance: 0), &random).ensemble
    #expect(GatherPlan(shallow, .sum) == nil)
    #expect((GatherPlan(deep, .sum) != nil) == (martlet_cpu_level() >= MARTLET_CPU_AVX2))
    #expect(GatherPlan(deep, .maximum) == nil)
  }

  @Test("more cuts than two bytes count, or leaves with weights for different targets, are left to other kinds")
  func misfits() throws {
    for count in [65_535, 65_536] {
      var feature = CodedFeature<Float>(feature: 0, segment: 255)
      for cut in 0..<count {
        feature.addCuts(
          .init(mode: .less, feature: 0, tracksTrue: false, value: Float(cut), whenTrue: 0, whenFalse: 0), [])
      }
      #expect(feature.closeCuts() == (count == 65_535))
    }
    var builder = TreeEnsembleBuilder<Float>()
    builder.sources = [
      .init(mode: .less, feature: 0, tracksTrue: false, value: 1, whenTrue: 1, whenFalse: 2),
      .init(mode: .leaf, feature: 0, tracksTrue: false, value: 0, whenTrue: 0, whenFalse: 0),
      .init(mode: .leaf, feature: 0, tracksTrue: false, value: 0, whenTrue: 0, whenFalse: 0),
    ]
    builder.roots = [0]
    builder.leaves = [.init(node: 1, target: 0, value: 1), .init(node: 2, target: 1, value: 1)]
    let mixed = try builder.build(targets: 2)
    #expect(Float.coded(mixed, .byte)?.columns == nil)
  }
}
