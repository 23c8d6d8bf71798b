import CProtobufC
import CProtos
import MartletCore
import Testing

@testable import MartletClient

@Suite struct InferenceMessagesTests {
  @Test("an inference request reads the same in protobuf-c")
  func request() throws {
    let request = ModelInferRequest(
      model: "m", version: "1", id: "x",
      inputs: [
        InferTensor(name: "a", type: .float32, shape: [2, 1], values: [1.5, -2] as [Float]),
        InferTensor(name: "b", shape: [2], texts: ["", "né"]),
      ], outputs: ["label"])
    let bytes = request.encoded()
    let message = try #require(inference__model_infer_request__unpack(nil, bytes.count, bytes))
    defer { inference__model_infer_request__free_unpacked(message, nil) }
    #expect(String(cString: message.pointee.model_name) == "m")
    #expect(String(cString: message.pointee.id) == "x")
    #expect(message.pointee.n_inputs == 2)
    let first = try #require(message.pointee.inputs[0]?.pointee)
    #expect(String(cString: first.datatype) == "FP32")
    #expect(Array(UnsafeBufferPointer(start: first.shape, count: first.n_shape)) == [2, 1])
    #expect(message.pointee.n_raw_input_contents == 2)
    let raw = message.pointee.raw_input_contents[1]
    #expect(
      Array(UnsafeBufferPointer(start: raw.data, count: raw.len)) == [0, 0, 0, 0, 3, 0, 0, 0] + Array("né".utf8))
    #expect(String(cString: try #require(message.pointee.outputs[0]?.pointee.name)) == "label")
  }

  @Test("raw and typed contents of a response are the same bytes")
  func response() throws {
    var raw = ProtobufWriter()
    raw.message(5) {
      $0.string(1, "y")
      $0.string(2, "INT32")
      $0.packed(3, [2] as [Int64])
    }
    raw.entry(6, [1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])
    var typed = ProtobufWriter()
    typed.message(5) {
      $0.string(1, "y")
      $0.string(2, "INT32")
      $0.packed(3, [2] as [Int64])
      $0.message(5) { $0.packed(2, [1, -1] as [Int64]) }
    }
    let first = try ModelInferResponse(decoding: raw.bytes)
    #expect(first.outputs.first?.contents == [1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])
    #expect(try ModelInferResponse(decoding: typed.bytes).outputs == first.outputs)
  }

  @Test("more raw contents than outputs are refused")
  func surplus() {
    #expect(throws: MessageError.self) { try ModelInferResponse(decoding: [0x32, 0x01, 0x00]) }
  }

  @Test("the index of the repository and a model's description are read")
  func others() throws {
    var index = ProtobufWriter()
    index.message(1) {
      $0.string(1, "credit")
      $0.string(2, "2")
      $0.string(3, "UNAVAILABLE")
      $0.string(4, "no such file")
    }
    let models = try RepositoryIndexResponse(decoding: index.bytes).models
    #expect(
      models.map { [$0.name, $0.version, $0.state, $0.reason] } == [
        ["credit", "2", "UNAVAILABLE", "no such file"]
      ])
    var describe = ProtobufWriter()
    describe.string(1, "credit")
    describe.message(6) {
      $0.string(1, "age")
      $0.signed(2, 3)
      $0.bool(3, true)
    }
    describe.message(6) {
      $0.string(1, "purpose")
      $0.signed(2, 99)
      $0.text(4, "car")
      $0.text(4, "")
    }
    describe.message(7) {
      $0.string(1, "label")
      $0.packed(6, [0, 1] as [Int64])
    }
    let description = try DescribeResponse(decoding: describe.bytes)
    #expect(
      description.columns == [
        ColumnDescription(name: "age", type: .integer, missingAllowed: true),
        ColumnDescription(name: "purpose", type: .unspecified, missingAllowed: false, categories: .text(["car", ""])),
      ])
    #expect(description.outputs.first?.classes == .integer([0, 1]))
    #expect(try ServingStatus(decoding: [0x08, 0x02]) == .notServing)
    #expect(try ServingStatus(decoding: [0x08, 0x63]) == .unknown)
  }
}
