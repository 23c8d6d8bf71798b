import CProtos
import MartletCore
import MartletWire

/// Judges what a server sends: whole response frames, messages of the method's type, and only statuses that a
/// caller's bytes can be the reason for.
final class AnswerCheck {
  enum Verdict: Equatable {
    case fine(StatusCode)
    case wrong(String)
  }

  private let arena = MessageArena(capBytes: 512 << 20)
  /// By service and method.
  private let decoders: [String: (MessageArena, UnsafeRawBufferPointer) -> Bool]
  /// Codes that say that the server is at fault.
  private static let faults: Set<StatusCode> = [.unknown, .internalError, .dataLoss, .aborted, .unauthenticated]

  init() {
    let scoring = ValidCalls.scoring + "/"
    let inference = ValidCalls.inference + "/"
    let health = ValidCalls.health + "/"
    decoders = [
      scoring + "Score": { $0.unpack($1, martlet__v1__score_response__unpack) != nil },
      scoring + "Describe": { $0.unpack($1, martlet__v1__describe_response__unpack) != nil },
      scoring + "Null": { $0.unpack($1, martlet__v1__null_response__unpack) != nil },
      inference + "ServerLive": { $0.unpack($1, inference__server_live_response__unpack) != nil },
      inference + "ServerReady": { $0.unpack($1, inference__server_ready_response__unpack) != nil },
      inference + "ModelReady": { $0.unpack($1, inference__model_ready_response__unpack) != nil },
      inference + "ServerMetadata": { $0.unpack($1, inference__server_metadata_response__unpack) != nil },
      inference + "ModelMetadata": { $0.unpack($1, inference__model_metadata_response__unpack) != nil },
      inference + "ModelInfer": { $0.unpack($1, inference__model_infer_response__unpack) != nil },
      inference + "RepositoryIndex": { $0.unpack($1, inference__repository_index_response__unpack) != nil },
      inference + "RepositoryModelLoad": { $0.unpack($1, inference__repository_model_load_response__unpack) != nil },
      inference + "RepositoryModelUnload": {
        $0.unpack($1, inference__repository_model_unload_response__unpack) != nil
      },
      health + "Check": { $0.unpack($1, grpc__health__v1__health_check_response__unpack) != nil },
      health + "List": { $0.unpack($1, grpc__health__v1__health_list_response__unpack) != nil },
    ]
  }

  /// - Parameters:
  ///   - frame: one whole frame.
  ///   - method: `service/method` of the call, nil for a call that was refused before it was known.
  ///   - acceptsAnyResult: a result may be of any method, since nobody knows which was called.
  func judge(_ frame: UnsafeRawBufferPointer, method: String?, acceptsAnyResult: Bool = false) -> Verdict {
    guard let header = TTRPCFrame(frame) else { return .wrong("an answer of \(frame.count) bytes") }
    guard header.kind == TTRPCFrame.Kind.response, header.flags == 0,
      Int(header.dataBytes) == frame.count - TTRPCFrame.headerBytes
    else { return .wrong("an answer with the header \(header) and \(frame.count) bytes") }
    arena.reset()
    let data = UnsafeRawBufferPointer(rebasing: frame[TTRPCFrame.headerBytes...])
    guard let response = arena.unpack(data, ttrpc__response__unpack) else {
      return .wrong("an answer that is not a ttrpc.Response")
    }
    if let status = response.pointee.status {
      let message = UnsafeRawBufferPointer(start: status.pointee.message, count: Self.length(status.pointee.message))
      let text = String(decoding: message, as: UTF8.self)
      guard MessageGuard.isText(message) else { return .wrong("a status whose message is not text: \(text)") }
      guard let code = StatusCode(rawValue: status.pointee.code) else {
        return .wrong("a status of code \(status.pointee.code)")
      }
      if code == .ok || Self.faults.contains(code) { return .wrong("\(method ?? "a call"): \(code.name) \(text)") }
      if message.count == 0 { return .wrong("\(method ?? "a call"): \(code.name) without a message") }
      return .fine(code)
    }
    if acceptsAnyResult { return .fine(.ok) }
    guard let method, let decoder = decoders[method] else { return .wrong("a result for an unknown method") }
    let payload = UnsafeRawBufferPointer(start: response.pointee.payload.data, count: response.pointee.payload.len)
    return decoder(arena, payload) ? .fine(.ok) : .wrong("\(method): a result that cannot be read")
  }

  private static func length(_ text: UnsafePointer<CChar>?) -> Int {
    guard let text else { return 0 }
    var count = 0
    while text[count] != 0 { count += 1 }
    return count
  }
}
