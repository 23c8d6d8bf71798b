import Testing

@testable import MartletEngine

@Suite("Tree ensembles")
struct TreeEnsembleTests {
  private typealias Builder = TreeEnsembleBuilder<Float>

  private func branch(
    _ feature: Int32, _ threshold: Float, _ whenTrue: UInt32, _ whenFalse: UInt32, mode: BranchMode = .lessOrEqual,
    tracksTrue: Bool = false
  ) -> Builder.Source {
    .init(
      mode: mode, feature: feature, tracksTrue: tracksTrue, value: threshold, whenTrue: whenTrue, whenFalse: whenFalse)
  }

  private var leaf: Builder.Source {
    .init(mode: .leaf, feature: 0, tracksTrue: false, value: 0, whenTrue: 0, whenFalse: 0)
  }

  private func score(_ ensemble: TreeEnsemble<Float>, _ rows: [[Float]]) -> [Float] {
    var values = [Float](repeating: .nan, count: rows.count * ensemble.targets)
    var isScored = [Bool](repeating: true, count: values.count)
    let flat = rows.flatMap { $0 }
    values.withUnsafeMutableBufferPointer { values in
      isScored.withUnsafeMutableBufferPointer { isScored in
        flat.withUnsafeBufferPointer { flat in
          ensemble.aggregate(
            .sum, flat.baseAddress!, stride: rows[0].count, count: rows.count,
            into: TreeScores(values: values.baseAddress!, isScored: isScored.baseAddress!))
        }
      }
    }
    return values
  }

  @Test("a node is 16 bytes, or 24 in double precision")
  func size() {
    #expect(MemoryLayout<TreeEnsemble<Float>.Node>.stride == 16)
    #expect(MemoryLayout<TreeEnsemble<Double>.Node>.stride == 24)
  }

  @Test("every mode compares as its name says, and missing values follow the flag")
  func modes() throws {
    let modes: [(BranchMode, [Float])] = [
      (.lessOrEqual, [1, 1, 0]), (.less, [1, 0, 0]), (.greaterOrEqual, [0, 1, 1]), (.greater, [0, 0, 1]),
      (.equal, [0, 1, 0]), (.notEqual, [1, 0, 1]),
    ]
    for (mode, expected) in modes {
      for tracksTrue in [false, true] {
        var builder = Builder()
        builder.sources = [branch(0, 2, 1, 2, mode: mode, tracksTrue: tracksTrue), leaf, leaf]
        builder.roots = [0]
        builder.leaves = [.init(node: 1, target: 0, value: 1), .init(node: 2, target: 0, value: 0)]
        let ensemble = try builder.build(targets: 1)
        #expect(score(ensemble, [[1], [2], [3]]) == expected)
        // Not equal holds for what is not a number, whatever the flag.
        #expect(score(ensemble, [[.nan]]) == [tracksTrue || mode == .notEqual ? 1 : 0])
      }
    }
  }

  @Test("a set of small or fractional numbers wants the value itself, another one its whole part")
  func sets() {
    #expect(MemberSet<Float>([1, 3]).contains(3))
    #expect(!MemberSet<Float>([1, 3]).contains(3.5))
    #expect(MemberSet<Float>([1, 31]).contains(31.5))
    #expect(MemberSet<Float>([0, 31]).contains(-0.5))
    #expect(MemberSet<Float>([0.5, 40]).contains(0.5))
    #expect(!MemberSet<Float>([0.5, 40]).contains(40.5))
    for odd in [Float.nan, .infinity, -.infinity, 1e30] { #expect(!MemberSet<Float>([0, 31]).contains(odd)) }
    #expect(!MemberSet<Float>([]).contains(0))
  }

  @Test("a sub-tree that hangs from several nodes is kept once")
  func sharing() throws {
    var builder = Builder()
    // Two tests for equality that lead to the same leaf, as exporters write a set of categories.
    builder.sources = [branch(0, 1, 2, 1, mode: .equal), branch(0, 2, 2, 3, mode: .equal), leaf, leaf]
    builder.roots = [0]
    builder.leaves = [.init(node: 2, target: 0, value: 5), .init(node: 3, target: 0, value: 7)]
    let ensemble = try builder.build(targets: 1)
    #expect(ensemble.nodes.count == 4)
    #expect(score(ensemble, [[1], [2], [3]]) == [5, 5, 7])
  }

  @Test("trees are summed in order, and the weights of a leaf in theirs")
  func order() throws {
    var builder = Builder()
    builder.sources = [leaf, leaf, leaf]
    builder.roots = [2, 0, 1]
    // 2^24 swallows a 1 that comes after it, but not the sum of two that come before.
    builder.leaves = [
      .init(node: 1, target: 1, value: 0x1p24), .init(node: 0, target: 1, value: 1),
      .init(node: 2, target: 1, value: 1), .init(node: 1, target: 0, value: 3),
    ]
    #expect(score(try builder.build(targets: 2), [[0]]) == [3, 0x1p24 + 2])
  }

  @Test("a tree of 200,000 levels is built and walked without recursion")
  func depth() throws {
    let levels = 200_000
    var builder = Builder()
    for level in 0..<levels {
      builder.sources.append(branch(0, Float(level), UInt32(levels), UInt32(level + 1)))
    }
    builder.sources[levels - 1].whenFalse = UInt32(levels + 1)
    builder.sources += [leaf, leaf]
    builder.roots = [0]
    builder.leaves = [
      .init(node: UInt32(levels), target: 0, value: 1), .init(node: UInt32(levels + 1), target: 0, value: 2),
    ]
    let ensemble = try builder.build(targets: 1)
    #expect(score(ensemble, [[Float(levels)], [150_000]]) == [2, 1])
  }

  @Test("cycles, lost nodes and targets that do not exist are refused")
  func refusals() {
    func message(_ change: (inout Builder) -> Void) -> String {
      var builder = Builder()
      builder.sources = [branch(0, 0, 1, 2), leaf, leaf]
      builder.roots = [0]
      builder.leaves = [.init(node: 1, target: 0, value: 1)]
      change(&builder)
      do throws(Builder.Problem) {
        _ = try builder.build(targets: 1)
        return "built"
      } catch {
        return error.message
      }
    }
    #expect(message { _ in } == "built")
    #expect(message { $0.sources[0].whenTrue = 0 }.contains("cycle"))
    #expect(message { $0.sources[2] = branch(0, 0, 0, 1) }.contains("cycle"))
    #expect(message { $0.sources.append(leaf) }.contains("node 3 is in no tree"))
    #expect(message { $0.leaves[0].target = 1 }.contains("target 1, expected 0 to 0"))
    #expect(message { $0.leaves[0].target = -1 }.contains("target -1"))
  }

  @Test("softmax, logistic and probit of large and special scores")
  func transforms() {
    func apply(_ transform: PostTransform, _ scores: [Float]) -> [Float] {
      var scores = scores
      scores.withUnsafeMutableBufferPointer { transform.apply($0) }
      return scores
    }
    #expect(apply(.softmax, [1000, 1000]) == [0.5, 0.5])
    #expect(apply(.softmax, [-1000, 0]) == [0, 1])
    // A score of 0 is scaled with the others but left out of their sum.
    #expect(apply(.softmaxZero, [0, 2]) == [0, 1])
    #expect(apply(.logistic, [0, 200, -200]) == [0.5, 1, 0])
    #expect(apply(.probit, [0.5, 1])[1] == .infinity)
    #expect(apply(.none, [3, -.infinity]) == [3, -.infinity])
  }
}
