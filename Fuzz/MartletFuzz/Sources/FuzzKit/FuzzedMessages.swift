import CProtobufC
import CProtos
import MartletCore
import MartletWire

/// Messages in the fast readers and in protobuf-c: the same meaning, or left to protobuf-c; nothing that the guard lets
/// pass has a text that is none.
package enum FuzzedMessages {
  // libFuzzer brings its inputs on one thread.
  private nonisolated(unsafe) static let bench = (
    fast: MessageBench(readsPlain: true), general: MessageBench(readsPlain: false)
  )
  private nonisolated(unsafe) static let arena = MessageArena(capBytes: 8 << 20)

  /// The first byte says what the rest is: the payload of ModelInfer or of Score, or the envelope of a call.
  package static func run(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    guard let data, count > 0, data[0] < 3 else { return -1 }
    let bytes = UnsafeRawBufferPointer(start: data + 1, count: count - 1)
    switch data[0] {
    case 0:
      text(bytes, empty.infer, inference__model_infer_request__unpack)
      same(.infer, bytes)
    case 1:
      text(bytes, empty.score, martlet__v1__score_request__unpack)
      same(.score, bytes)
    default: envelope(bytes)
    }
    return 0
  }

  private static func same(_ method: MessageBench.Method, _ bytes: UnsafeRawBufferPointer) {
    let (fast, general) = (bench.fast.outcome(method, bytes), bench.general.outcome(method, bytes))
    guard fast == general else { fatalError("\(method): the fast path says \(fast), the general one \(general)") }
  }

  // MARK: Envelope

  private static func envelope(_ bytes: UnsafeRawBufferPointer) {
    let general = text(bytes, empty.request, ttrpc__request__unpack)
    guard let plain = TTRPCRequest(plain: bytes) else { return }
    guard let general else {
      // A name that is not text is no name of a service, so the router leaves the call to the general path.
      guard !MessageGuard.isText(plain.service) || !MessageGuard.isText(plain.method) || arena.exhausted else {
        fatalError("a plain envelope that protobuf-c refuses")
      }
      return
    }
    guard equal(plain.service, general.pointee.service), equal(plain.method, general.pointee.method),
      plain.payload.elementsEqual(
        UnsafeRawBufferPointer(start: general.pointee.payload.data, count: general.pointee.payload.len)),
      plain.timeoutNanoseconds == general.pointee.timeout_nano, general.pointee.n_metadata == 0
    else { fatalError("a plain envelope that protobuf-c reads otherwise") }
  }

  private static func equal(_ bytes: UnsafeRawBufferPointer, _ text: UnsafePointer<CChar>?) -> Bool {
    text.map { bytes.elementsEqual(String(cString: $0).utf8) } ?? bytes.isEmpty
  }

  // MARK: Texts

  // Written here only, then read on libFuzzer's one thread.
  private nonisolated(unsafe) static let empty = {
    var infer = Inference__ModelInferRequest()
    inference__model_infer_request__init(&infer)
    var score = Martlet__V1__ScoreRequest()
    martlet__v1__score_request__init(&score)
    var request = Ttrpc__Request()
    ttrpc__request__init(&request)
    return (infer: infer.base.descriptor!, score: score.base.descriptor!, request: request.base.descriptor!)
  }()

  /// The message, nil when the guard or protobuf-c refuses it; every text in it is checked.
  @discardableResult
  private static func text<Message>(
    _ bytes: UnsafeRawBufferPointer, _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>,
    _ unpack: (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<Message>?
  ) -> UnsafeMutablePointer<Message>? {
    arena.reset()
    guard MessageGuard.check(bytes, descriptor) == .fine, let message = arena.unpack(bytes, unpack) else { return nil }
    check(UnsafeRawPointer(message))
    return message
  }

  private static func check(_ message: UnsafeRawPointer) {
    let descriptor = message.assumingMemoryBound(to: ProtobufCMessage.self).pointee.descriptor!.pointee
    for index in 0..<Int(descriptor.n_fields) {
      let field = descriptor.fields[index]
      guard field.type == PROTOBUF_C_TYPE_STRING || field.type == PROTOBUF_C_TYPE_MESSAGE else { continue }
      let isChoice = field.flags & UInt32(PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue) != 0
      let quantifier = message + Int(field.quantifier_offset)
      if isChoice, quantifier.load(as: UInt32.self) != field.id { continue }
      let place = message + Int(field.offset)
      guard field.label == PROTOBUF_C_LABEL_REPEATED else {
        if let value = place.load(as: UnsafeRawPointer?.self) { check(value, field) }
        continue
      }
      let values = place.load(as: UnsafePointer<UnsafeRawPointer>?.self)
      for element in 0..<quantifier.load(as: Int.self) { check(values![element], field) }
    }
  }

  private static func check(_ value: UnsafeRawPointer, _ field: ProtobufCFieldDescriptor) {
    guard field.type == PROTOBUF_C_TYPE_STRING else { return check(value) }
    let text = value.assumingMemoryBound(to: CChar.self)
    guard String(validatingCString: text) != nil else {
      fatalError("\(String(cString: field.name)) is not text, and the guard let it pass")
    }
  }
}
