import MartletEngine
import Testing

@testable import MartletFormats

@Suite("Damaged LightGBM files")
struct LightGBMDamageTests {
  @Test("a file cut anywhere is refused, or lacks only what follows the trees")
  func truncation() {
    let bytes = Array(LightGBMText.small.utf8)
    let trees = LightGBMText.small.utf8.count - "\n\nfeature_importances:".utf8.count
    var refused = 0
    for length in 0..<bytes.count where LightGBMText.refusal(Array(bytes[..<length])) != nil { refused += 1 }
    let tail = LightGBMText.small.components(after: "end of trees").utf8.count
    #expect(refused >= bytes.count - tail - 1 && refused < trees)
  }

  @Test("files with random bytes changed never crash, hang or take memory without bound", arguments: 0..<3)
  func mutation(part: Int) {
    let original = Array(LightGBMText.small.utf8)
    let pieces = ["=", " ", "\n", "-1", "99999999999", "1e308", "nan", "0", "4294967295", "Tree=", "num_leaves=", "[["]
    var state = UInt64(part) &* 0x9e37_79b9_7f4a_7c15 | 1
    func random(_ limit: Int) -> Int {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return Int(state % UInt64(limit))
    }
    var refused = 0
    for _ in 0..<1_500 {
      var bytes = original
      for _ in 0...random(3) {
        let place = random(bytes.count)
        switch random(6) {
        case 0: bytes[place] ^= 1 << UInt8(random(8))
        case 1: bytes[place] = UInt8(random(256))
        case 2: bytes.remove(at: place)
        case 3: bytes.insert(UInt8(0x30 + random(10)), at: place)
        case 4: bytes.removeSubrange(place..<min(bytes.count, place + random(40)))
        default: bytes.insert(contentsOf: pieces[random(pieces.count)].utf8, at: place)
        }
      }
      if LightGBMText.refusal(bytes) != nil { refused += 1 }
    }
    #expect(refused > 500)
  }

  @Test("a small file that promises much is refused before memory is taken")
  func promises() {
    let many = LightGBMText.small("num_leaves=4", "num_leaves=2147483647")
    #expect(LightGBMText.refusal(many)?.contains("more than a file of this size can describe") == true)
    let words = String(repeating: "4294967295 ", count: 100_000)
    let sets = LightGBMText.small("cat_boundaries=0 2", "cat_boundaries=0 100000")
      .replacing("cat_threshold=2 256", with: "cat_threshold=\(words)")
    #expect(LightGBMText.refusal(sets)?.contains("too much for a file of this size") == true)
    let tree =
      "\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nthreshold=0\nleft_child=-1\nright_child=-2\nleaf_value=0 0\n\n"
    var text = "tree\nversion=v4\nnum_tree_per_iteration=1\nmax_feature_idx=0\nfeature_names=x\n\n"
    for index in 0..<10 { text += "Tree=\(index)" + tree }
    #expect(LightGBMText.refusal(text + "end of trees\n") == nil)
    let zeros = String(repeating: "0 ", count: 200_000)
    let wide = text + "Tree=10\nnum_leaves=200001\nsplit_feature=\(zeros)\nend of trees\n"
    #expect(LightGBMText.refusal(wide)?.contains("more than a file of this size can describe") == true)
    let features = LightGBMText.small("max_feature_idx=2", "max_feature_idx=65536")
    #expect(LightGBMText.refusal(features)?.contains("from 0 to 65535") == true)
  }

  @Test("a tree that is one long chain loads without recursion")
  func chain() {
    let tests = 20_000
    func list(_ values: some Sequence<Int>) -> String { values.map(String.init).joined(separator: " ") }
    let text = """
      tree
      version=v3
      num_tree_per_iteration=1
      max_feature_idx=0
      feature_names=x

      Tree=0
      num_leaves=\(tests + 1)
      num_cat=0
      split_feature=\(list(repeatElement(0, count: tests)))
      threshold=\(list(0..<tests))
      left_child=\(list((1...tests).map { $0 < tests ? $0 : -1 }))
      right_child=\(list((0..<tests).map { -2 - $0 }))
      leaf_value=\(list(0...tests))

      end of trees
      """
    #expect(LightGBMText.refusal(text) == nil)
  }
}

extension String {
  /// What is behind the first `text`, which is there.
  fileprivate func components(after text: String) -> Substring { self[firstRange(of: text)!.upperBound...] }
}
