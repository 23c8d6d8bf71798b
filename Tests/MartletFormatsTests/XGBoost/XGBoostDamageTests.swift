import MartletCore
import MartletEngine
import Testing

@testable import MartletFormats

@Suite("Damaged XGBoost files")
struct XGBoostDamageTests {
  private static let originals = [XGBoostDocument.textModel.json, XGBoostDocument.textModel.ubj]

  @Test("a file cut anywhere is refused", arguments: 0..<2)
  func truncation(form: Int) {
    let bytes = Self.originals[form]
    for length in 0..<bytes.count {
      #expect(XGBoostDocument.refusal(Array(bytes[..<length])) != nil, "\(length) of \(bytes.count) bytes")
    }
    #expect(XGBoostDocument.refusal(bytes) == nil)
  }

  @Test("files with random bytes changed never crash, hang or take memory without bound", arguments: 0..<4)
  func mutation(part: Int) {
    let original = Self.originals[part % 2]
    let pieces = [
      "[", "]", "{", "}", ",", ":", "\"", "-1", "99999999999", "1e308", "NaN", "L\u{0}\u{0}\u{0}\u{0}\u{7f}", "[$l#L",
      "[#L", "\\u0000", "null",
    ]
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
      if XGBoostDocument.refusal(bytes) != nil { refused += 1 }
    }
    #expect(refused > 500)
  }

  @Test("a small file that promises much is refused before memory is taken")
  func promises() {
    let huge = Array("{L".utf8) + [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
    #expect(XGBoostDocument.refusal(huge)?.contains("has the length 9223372036854775807") == true)
    func array(_ header: String, _ count: UInt8) -> [UInt8] {
      Array("{L\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{1}x\(header)L".utf8) + [0, 0, 0, 0, 0, 0, 0, count]
    }
    #expect(
      XGBoostDocument.refusal(array("[$l#", 200))?.contains("has the length 200, but the file has 0 more") == true)
    let nested = Array(String(repeating: "{\"learner\":", count: 100).utf8)
    #expect(XGBoostDocument.refusal(nested)?.contains("nested deeper than 32 levels") == true)
    let lists = Array(("{\"x\":" + String(repeating: "[", count: 100_000)).utf8)
    #expect(XGBoostDocument.refusal(lists)?.contains("nested deeper than 32 levels") == true)
    let names = XGBoostDocument.model.with(
      "learner.feature_names", .array(Array(repeating: .text("a"), count: 10)))
    #expect(XGBoostDocument.refusal(names.ubj)?.contains("feature_names[3]: is one more name") == true)
    let outputs = XGBoostDocument.model.with(
      "learner.gradient_booster.model.tree_info", .array(Array(repeating: .integer(0), count: 5000)))
    #expect(XGBoostDocument.refusal(outputs.json)?.contains("no room for so many") == true)
    let categories = XGBoostDocument.model.with(
      "learner.gradient_booster.model.cats.enc",
      .array([.object([("offsets", .integers(Array(repeating: 0, count: 200_000))), ("values", .bytes([]))])]))
    #expect(XGBoostDocument.refusal(categories.ubj)?.contains("brings the categories of the model to 199999") == true)
    let members = XGBoostDocument.object((0..<5000).map { ("\($0)", .null) })
    #expect(XGBoostDocument.refusal(members.json)?.contains("behind 4096 other members") == true)
    let twice = XGBoostDocument.object([("x", .null), ("x", .null)])
    #expect(XGBoostDocument.refusal(twice.ubj)?.contains("x: is there twice") == true)
  }

  @Test("lists of nodes in fewer bytes than any node takes are refused")
  func dense() {
    let count = 10_000
    let tree = "learner.gradient_booster.model.trees.0"
    let bytes = XGBoostDocument.bytes(Array(repeating: 0, count: count))
    let dense = ["left_children", "right_children", "split_indices", "split_conditions", "default_left"].reduce(
      XGBoostDocument.model.with("\(tree).tree_param.num_nodes", .text("\(count)"))
        .with("\(tree).parents", nil).with("\(tree).sum_hessian", nil).with("\(tree).loss_changes", nil)
        .with("\(tree).split_type", nil)
    ) { $0.with("\(tree).\($1)", bytes) }
    #expect(XGBoostDocument.refusal(dense.ubj)?.contains("which no file of XGBoost's has") == true)
  }

  @Test("a tree that is one long chain loads without recursion")
  func chain() throws {
    let tests = 20_000
    let nodes = 2 * tests + 1
    let tree = "learner.gradient_booster.model.trees.0"
    func list(_ element: (Int) -> Int32) -> XGBoostDocument { .integers((0..<nodes).map(element)) }
    // Even nodes test, and lead to a leaf and to the next test.
    let chain = XGBoostDocument.model
      .with("\(tree).left_children", list { $0 % 2 == 0 && $0 < nodes - 1 ? Int32($0 + 1) : -1 })
      .with("\(tree).right_children", list { $0 % 2 == 0 && $0 < nodes - 1 ? Int32($0 + 2) : -1 })
      .with("\(tree).split_indices", list { _ in 0 })
      .with("\(tree).split_conditions", .floats((0..<nodes).map { Float($0) }))
      .with("\(tree).parents", list { _ in 0 })
      .with("\(tree).sum_hessian", list { _ in 0 }).with("\(tree).loss_changes", list { _ in 0 })
      .with("\(tree).base_weights", list { _ in 0 })
      .with("\(tree).default_left", .bytes(Array(repeating: 0, count: nodes)))
      .with("\(tree).split_type", .bytes(Array(repeating: 0, count: nodes)))
      .with("\(tree).tree_param.num_nodes", .text("\(nodes)"))
    #expect(XGBoostDocument.refusal(chain.ubj) == nil)
  }
}
