import CProtos
import MartletCore
import MartletWire
import Testing

@testable import MartletServices

private struct TensorSpec {
  var name: String
  var datatype: String
  var shape: [Int64]
  var contents: (inout ProtoBuffer) -> Void
  var raw: [UInt8]
}

private func bytes<Value>(_ values: [Value]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }

private func tensors() -> [TensorSpec] {
  [
    TensorSpec(
      name: "numbers", datatype: "FP32", shape: [2, 2], contents: { $0.floats(6, [0.25, 0.5, 0.75, 1.5]) },
      raw: bytes([0.25, 0.5, 0.75, 1.5] as [Float])),
    TensorSpec(
      name: "n", datatype: "INT64", shape: [2, 1], contents: { $0.packed(3, [0, -5]) }, raw: bytes([0, -5] as [Int64])),
    TensorSpec(
      name: "text", datatype: "BYTES", shape: [2, 1],
      contents: {
        $0.element(8, "yes")
        $0.element(8, "né")
      },
      raw: [3, 0, 0, 0] + Array("yes".utf8) + [3, 0, 0, 0] + Array("né".utf8)),
    TensorSpec(name: "flag", datatype: "BOOL", shape: [2], contents: { $0.packed(1, [1, 0]) }, raw: [1, 0]),
    TensorSpec(
      name: "wide", datatype: "FP64", shape: [2, 1], contents: { $0.doubles(7, [1, 2]) },
      raw: bytes([1, 2] as [Double])),
  ]
}

private func request(
  raw: Bool, _ tensors: [TensorSpec] = tensors(), id: String = "", outputs: [String] = [],
  extra: (inout ProtoBuffer) -> Void = { _ in }
) -> [UInt8] {
  var message = ProtoBuffer()
  message.string(1, "fake")
  message.string(3, id)
  for tensor in tensors {
    message.message(5) { input in
      input.string(1, tensor.name)
      input.string(2, tensor.datatype)
      input.packed(3, tensor.shape)
      if !raw { input.message(5, tensor.contents) }
    }
  }
  for output in outputs { message.message(6) { $0.string(1, output) } }
  if raw { for tensor in tensors { message.data(7, tensor.raw) } }
  extra(&message)
  return message.bytes
}

@Suite("Open Inference Protocol")
struct OpenInferenceServiceTests {
  private let bench = ServiceBench()

  @Test("rows that did not come are refused before room is made for them", arguments: [false, true])
  func rowsWithoutValues(isRaw: Bool) throws {
    let bench = ServiceBench(rowsPerCall: 50_000_000)
    var tensors = tensors()
    for index in tensors.indices { tensors[index].shape[0] = 40_000_000 }
    let refusal = try #require(bench.refusal(bench.inference, "ModelInfer", request(raw: isRaw, tensors)))
    #expect(refusal.code == .invalidArgument)
    #expect(refusal.message.contains("its shape asks for"))
  }

  private func infer(_ payload: [UInt8]) throws -> UnsafeMutablePointer<Inference__ModelInferResponse> {
    let answer = try bench.call(bench.inference, "ModelInfer", payload)
    return try #require(inference__model_infer_response__unpack(nil, answer.count, answer))
  }

  private func refusal(_ payload: [UInt8]) -> Status? { bench.refusal(bench.inference, "ModelInfer", payload) }

  @Test("typed contents are answered typed")
  func typed() throws {
    let answer = try infer(request(raw: false, id: "call-7"))
    defer { inference__model_infer_response__free_unpacked(answer, nil) }
    #expect(String(cString: answer.pointee.id) == "call-7")
    #expect(String(cString: answer.pointee.model_version) == "7")
    #expect(answer.pointee.n_outputs == 2)
    #expect(answer.pointee.n_raw_output_contents == 0)
    let label = answer.pointee.outputs[0]!.pointee
    #expect(String(cString: label.name) == "label")
    #expect(String(cString: label.datatype) == "BYTES")
    #expect(Array(UnsafeBufferPointer(start: label.shape, count: label.n_shape)) == [2])
    let texts = (0..<label.contents.pointee.n_bytes_contents).map {
      String(decoding: UnsafeRawBufferPointer(label.contents.pointee.bytes_contents[$0]), as: UTF8.self)
    }
    #expect(texts == ["yes", "no"])
    let probability = answer.pointee.outputs[1]!.pointee
    #expect(Array(UnsafeBufferPointer(start: probability.shape, count: probability.n_shape)) == [2, 2])
    let contents = probability.contents.pointee
    #expect(
      Array(UnsafeBufferPointer(start: contents.fp32_contents, count: contents.n_fp32_contents)) == [
        0.25, 0.5, 0.75, 1.5,
      ])
  }

  @Test("raw contents are answered raw, in the order in which outputs were asked for")
  func raw() throws {
    let answer = try infer(request(raw: true, outputs: ["probability", "label"]))
    defer { inference__model_infer_response__free_unpacked(answer, nil) }
    #expect(answer.pointee.n_raw_output_contents == 2)
    #expect(String(cString: answer.pointee.outputs[0]!.pointee.name) == "probability")
    #expect(answer.pointee.outputs[0]!.pointee.contents == nil)
    #expect(
      Array(UnsafeRawBufferPointer(answer.pointee.raw_output_contents[0])) == bytes([0.25, 0.5, 0.75, 1.5] as [Float]))
    #expect(
      Array(UnsafeRawBufferPointer(answer.pointee.raw_output_contents[1]))
        == [3, 0, 0, 0] + Array("yes".utf8) + [2, 0, 0, 0] + Array("no".utf8))
  }

  @Test("one output alone can be asked for; one that is not there is refused by name")
  func outputs() throws {
    let answer = try infer(request(raw: false, outputs: ["probability"]))
    defer { inference__model_infer_response__free_unpacked(answer, nil) }
    #expect(answer.pointee.n_outputs == 1)
    #expect(refusal(request(raw: false, outputs: ["nobody"]))?.message.contains("nobody") == true)
    #expect(refusal(request(raw: false, outputs: ["label", "label"]))?.code == .invalidArgument)
  }

  fileprivate struct Mistake: Sendable {
    let shown: String
    let change: @Sendable (inout [TensorSpec]) -> Void

    init(_ shown: String, _ change: @escaping @Sendable (inout [TensorSpec]) -> Void) {
      self.shown = shown
      self.change = change
    }
  }

  fileprivate static let mistakes = [
    Mistake("shape") { $0[0].shape = [2, 3] }, Mistake("shape") { $0[0].shape = [4] },
    Mistake("shape") { $0[0].shape = [] }, Mistake("shape") { $0[0].shape = [-1, 2] },
    Mistake("FP32") { $0[0].datatype = "FP64" }, Mistake("rows") { $0[1].shape = [3, 1] },
    Mistake("absent") { $0.remove(at: 2) }, Mistake("twice") { $0.append($0[0]) },
    Mistake("nobody") { $0[1].name = "nobody" },
    Mistake("\"numbers\"") {
      $0[0].contents = { $0.floats(6, [1]) }
      $0[0].raw = [1]
    },
    Mistake("\"text\"") {
      $0[2].contents = { message in for byte in [0xff, 1] as [UInt8] { message.data(8, [byte]) } }
      $0[2].raw = [1, 0, 0, 0, 0xff, 1, 0, 0, 0, 1]
    },
    Mistake("\"text\"") {
      $0[2].contents = { $0.data(8, []) }
      $0[2].raw = [200, 0, 0, 0, 1]
    },
  ]

  @Test("what does not fit is refused with the input and what was expected", arguments: [false, true])
  func refuses(_ raw: Bool) throws {
    for mistake in Self.mistakes {
      var changed = tensors()
      mistake.change(&changed)
      let status = try #require(refusal(request(raw: raw, changed)))
      #expect(status.code == .invalidArgument)
      #expect(status.message.contains(mistake.shown), "\(status.message)")
      // Notes and rows of refused calls leave nothing behind.
      let answer = try infer(request(raw: raw))
      inference__model_infer_response__free_unpacked(answer, nil)
    }
  }

  @Test("raw and typed contents do not mix, a BOOL is 0 or 1, raw contents are one for each input")
  func rawRules() throws {
    let mixed = request(raw: false) { message in for tensor in tensors() { message.data(7, tensor.raw) } }
    #expect(refusal(mixed)?.code == .invalidArgument)
    var flag = tensors()
    flag[3].raw = [1, 2]
    #expect(refusal(request(raw: true, flag))?.message.contains("BOOL") == true)
    #expect(refusal(request(raw: true) { $0.data(7, []) })?.message.contains("raw_input_contents") == true)
  }

  @Test("an empty batch has an empty answer")
  func empty() throws {
    var none = tensors()
    for index in none.indices {
      none[index].shape[0] = 0
      none[index].contents = { _ in }
      none[index].raw = []
    }
    for raw in [false, true] {
      let answer = try infer(request(raw: raw, none))
      defer { inference__model_infer_response__free_unpacked(answer, nil) }
      let label = answer.pointee.outputs[0]!.pointee
      #expect(Array(UnsafeBufferPointer(start: label.shape, count: label.n_shape)) == [0])
    }
  }

  @Test("parameters that would change the answer are not passed over in silence")
  func parameters() {
    let sequence = request(raw: false) { $0.message(4) { $0.string(1, "sequence_id") } }
    #expect(refusal(sequence)?.code == .unimplemented)
    let other = request(raw: false) { $0.message(4) { $0.string(1, "trace") } }
    #expect(refusal(other) == nil)
  }

  @Test("metadata tells the tensors")
  func metadata() throws {
    var message = ProtoBuffer()
    message.string(1, "fake")
    let bytes = try bench.call(bench.inference, "ModelMetadata", message.bytes)
    let answer = try #require(inference__model_metadata_response__unpack(nil, bytes.count, bytes))
    defer { inference__model_metadata_response__free_unpacked(answer, nil) }
    #expect(answer.pointee.n_versions == 2)
    #expect(answer.pointee.n_inputs == 5)
    let numbers = answer.pointee.inputs[0]!.pointee
    #expect(String(cString: numbers.datatype) == "FP32")
    #expect(Array(UnsafeBufferPointer(start: numbers.shape, count: numbers.n_shape)) == [-1, 2])
  }

  @Test("readiness follows the server and the model")
  func ready() throws {
    func isReady(_ method: String, _ payload: [UInt8] = []) throws -> Bool {
      try bench.call(bench.inference, method, payload) == [8, 1]
    }
    var fake = ProtoBuffer()
    fake.string(1, "fake")
    var broken = ProtoBuffer()
    broken.string(1, "broken")
    #expect(try isReady("ServerLive"))
    #expect(try !isReady("ServerReady"))
    bench.state.markStarted()
    #expect(try isReady("ServerReady"))
    #expect(try isReady("ModelReady", fake.bytes))
    #expect(try !isReady("ModelReady", broken.bytes))
    #expect(try bench.call(bench.health, "Check", []) == [8, 1])
    #expect(try bench.call(bench.health, "Check", broken.bytes) == [8, 2])
    bench.state.markDraining()
    #expect(try !isReady("ServerReady"))
    #expect(try !isReady("ModelReady", fake.bytes))
    #expect(try bench.call(bench.health, "Check", []) == [8, 2])
    var nobody = ProtoBuffer()
    nobody.string(1, "nobody")
    #expect(bench.refusal(bench.health, "Check", nobody.bytes)?.code == .notFound)
    let list = try bench.call(bench.health, "List", [])
    let read = try #require(grpc__health__v1__health_list_response__unpack(nil, list.count, list))
    defer { grpc__health__v1__health_list_response__free_unpacked(read, nil) }
    #expect(read.pointee.n_statuses == 6)
  }

  @Test("loading and unloading are for local callers, of models whose name a folder can have")
  func forbidden() {
    for method in ["RepositoryModelLoad", "RepositoryModelUnload"] {
      var message = ProtoBuffer()
      message.string(2, "fake")
      #expect(bench.refusal(bench.inference, method, message.bytes, isLocal: false)?.code == .permissionDenied)
      #expect(bench.refusal(bench.inference, method, [])?.code == .invalidArgument)
      var long = ProtoBuffer()
      long.string(2, String(repeating: "x", count: 256))
      #expect(bench.refusal(bench.inference, method, long.bytes)?.message.contains("256 bytes") == true)
    }
  }
}
