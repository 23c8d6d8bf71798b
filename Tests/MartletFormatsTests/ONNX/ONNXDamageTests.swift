import MartletCore
import MartletEngine
import Testing

@testable import MartletFormats

@Suite("Damaged ONNX files")
struct ONNXDamageTests {
  /// xorshift64: the same damage at every run.
  private struct FixedRandom: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
  }

  @Test("a file cut anywhere is refused or loaded, and nothing else happens", arguments: ListForm.allCases)
  func truncation(form: ListForm) {
    let bytes = ONNXWriter.forest(form).bytes
    var refused = 0
    for length in 0..<bytes.count where refusal(Array(bytes[..<length])) != nil { refused += 1 }
    // Only what follows the graph and the operator sets may be missing.
    #expect(refused > bytes.count - 40)
  }

  @Test("files with random bytes changed never crash, hang or take memory without bound", arguments: 0..<4)
  func mutation(part: Int) {
    let originals = [
      ONNXWriter.forest(.oneByOne).bytes, ONNXWriter.forest(.packed).bytes, ONNXWriter.addition.bytes,
    ]
    var random = FixedRandom(state: UInt64(part) &* 0x9e37_79b9_7f4a_7c15 | 1)
    var refused = 0
    for round in 0..<6_000 {
      var bytes = originals[round % originals.count]
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<5, using: &random) {
        case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[place] = .random(in: 0...255, using: &random)
        case 2: bytes.remove(at: place)
        case 3: bytes.insert(.random(in: 0...255, using: &random), at: place)
        // A number at its limits.
        default:
          bytes.replaceSubrange(
            place..<place, with: MessageWriter.varint(1 << UInt64.random(in: 0..<64, using: &random)))
        }
      }
      if refusal(bytes) != nil { refused += 1 }
    }
    #expect(refused > 3_000)
  }

  @Test("a small file that promises much is refused")
  func promises() {
    var writer = ONNXWriter.addition
    writer.nodes = (0..<60_000).map { _ in
      var node = MessageWriter()
      node.text(2, "y")
      node.text(4, "Neg")
      return node.bytes
    }
    #expect(refusal(writer.bytes)?.contains("more than 100000 nodes, names, attributes and tensors") == true)

    writer = ONNXWriter.addition
    writer.initializer("shape", type: 7, dims: [2]) {
      $0.integer(7, 1 << 20)
      $0.integer(7, 1 << 20)
    }
    writer.node("ConstantOfShape", ["shape"], ["huge"])
    writer.node("Add", ["huge", "y"], ["z"])
    writer.outputs = [ONNXWriter.value("z", type: 1, [nil, 2])]
    #expect(refusal(writer.bytes)?.contains("ConstantOfShape node making 'huge'") == true)

    writer = ONNXWriter.addition
    var dims = MessageWriter()
    dims.text(1, "x")
    dims.message(2) { $0.message(1) { $0.message(2) { for _ in 0..<50_000 { $0.data(1, []) } } } }
    writer.inputs = [dims.bytes]
    #expect(refusal(writer.bytes)?.contains("the limit is 65536") == true)
  }

  @Test("a dimension in another layout than a number's is refused, and nothing behind it is read in two ways")
  func layoutOfDimensions() {
    var writer = ONNXWriter.addition
    writer.initializer("v", type: 7, dims: [1]) { tensor in
      // As a number this ends behind its first byte, as four bytes it swallows the head of the next field.
      tensor.tag(1, 5)
      tensor.integer(1, 1)
      for value in 0..<4 { tensor.integer(7, Int64(value)) }
    }
    #expect(refusal(writer.bytes)?.contains("a number of a list (field 1) has the wire type 5, expected 0") == true)
  }

  @Test("a graph of one long chain loads without recursion")
  func chain() throws {
    var writer = ONNXWriter.addition
    writer.outputs = [ONNXWriter.value("n4999", type: 1, [nil, 2])]
    for index in 0..<5_000 { writer.node("Neg", [index == 0 ? "y" : "n\(index - 1)"], ["n\(index)"]) }
    #expect(refusal(writer.bytes) == nil)
  }
}
