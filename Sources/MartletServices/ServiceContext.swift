import CProtobufC
import MartletBatching
import MartletCore
import MartletRPC
import MartletRepository
import MartletWire

/// What the services of one reactor share. Confined to its thread.
public final class ServiceContext {
  public struct Limits: Sendable {
    /// The most rows of one call.
    public var rowsPerCall: Int

    public init(rowsPerCall: Int = 65_536) { self.rowsPerCall = rowsPerCall }
  }

  let responder: any Responder
  let batcher: Batcher
  let models: ReactorModels
  let arena: MessageArena
  let server: ServerState
  let repository: ModelRepository
  /// May change between rounds.
  public var limits: Limits
  /// Brings work to the reactor's thread; any thread.
  let post: @Sendable (@escaping @Sendable () -> Void) -> Void

  public init(
    responder: any Responder, batcher: Batcher, models: ReactorModels, arena: MessageArena, server: ServerState,
    repository: ModelRepository, limits: Limits, post: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
  ) {
    self.responder = responder
    self.batcher = batcher
    self.models = models
    self.arena = arena
    self.server = server
    self.repository = repository
    self.limits = limits
    self.post = post
  }

  /// Unpacks a call's message into the arena, where it lives until the next call is read.
  ///
  /// Errors: INVALID_ARGUMENT when it is malformed or a name in it is not text, RESOURCE_EXHAUSTED when it needs
  /// more memory than one message may take.
  func unpack<Message>(
    _ payload: UnsafeRawBufferPointer, _ type: MessageType<Message>
  ) throws(Status) -> UnsafeMutablePointer<Message> {
    switch MessageGuard.check(payload, type.descriptor) {
    case .fine: break
    case .invalidText(let field):
      throw Status(.invalidArgument, "\(field): not UTF-8 text without a NUL")
    case .tooDeep: throw Status(.invalidArgument, "\(type.name): nested too deeply")
    case .malformed: throw Status(.invalidArgument, "\(type.name): malformed")
    }
    if let message = arena.unpack(payload, type.unpack) { return message }
    if arena.exhausted {
      batcher.statistics.refusedMemory.add()
      throw Status(.resourceExhausted, "\(type.name): needs more memory than one message may take; send fewer rows")
    }
    throw Status(.invalidArgument, "\(type.name): malformed")
  }

  /// The level of a priority as a caller gave it. Errors: INVALID_ARGUMENT for one that there is not.
  func level(ofPriority priority: UInt64) throws(Status) -> UInt8 {
    guard let level = batcher.level(ofPriority: priority) else { throw batcher.refusal(ofPriority: priority) }
    return level
  }

  /// Takes back what a connection had waiting: each waiting call is looked at once, however many went away.
  func cancel(_ calls: [CallID]) {
    guard let first = calls.first else { return }
    batcher.cancel(connection: first.connection, generation: first.generation)
  }

  /// Answers with a message that was built apart; off the hot path.
  func answer(_ call: CallID, _ message: ProtoBuffer) {
    guard let target = responder.message(call, bytes: message.bytes.count) else { return }
    message.bytes.withUnsafeBytes { bytes in
      if let start = bytes.baseAddress { target.copyMemory(from: start, byteCount: bytes.count) }
    }
    responder.finish(call)
  }
}

/// The batcher scores at the end of each round.
extension Batcher: RoundWorker {}

/// A generated message: its descriptor and how it is unpacked.
struct MessageType<Message> {
  typealias Unpack = (UnsafeMutablePointer<ProtobufCAllocator>?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<
    Message
  >?

  let name: String
  let descriptor: UnsafePointer<ProtobufCMessageDescriptor>
  let unpack: Unpack

  /// - Parameters:
  ///   - empty: a message that its `init` function has filled.
  ///   - base: where in it protobuf-c's own part lies.
  init(_ name: String, _ empty: Message, _ base: KeyPath<Message, ProtobufCMessage>, _ unpack: @escaping Unpack) {
    self.name = name
    descriptor = empty[keyPath: base].descriptor
    self.unpack = unpack
  }
}
