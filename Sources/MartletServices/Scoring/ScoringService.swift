import CProtos
import MartletBatching
import MartletCore
import MartletRPC
import MartletWire

/// `martlet.v1.Scoring`: rows as named columns in, typed predictions out.
public final class ScoringService: UnaryService, BatchConsumer {
  public let name = "martlet.v1.Scoring"
  public let methods = [MethodDescriptor("Score"), MethodDescriptor("Describe"), MethodDescriptor("Null")]

  private let context: ServiceContext
  private var reader = ColumnReader()
  private let plain = PlainScore()
  /// Whether usual requests take the fast path; off only for tests that compare the two.
  @_spi(Comparison) public var readsPlainRequests = true
  private let repeated = ScoreMessages()
  /// The models that `repeated` points into.
  private var generation: UInt64 = 0
  private let responder: any Responder
  // As in `context`, which keeps them: reached without reference counting.
  private let models: Unmanaged<ReactorModels>
  private var entrance: BatchEntrance
  private let instance: UnsafeRawBufferPointer
  /// The number of the next prediction; the reactors of a server count in ranges of their own.
  private var nextPrediction: UInt64
  private let scoreRequest: MessageType<Martlet__V1__ScoreRequest>
  private let describeRequest: MessageType<Martlet__V1__DescribeRequest>
  private let nullRequest: MessageType<Martlet__V1__NullRequest>

  public init(_ context: ServiceContext, reactor: Int) {
    self.context = context
    responder = context.responder
    models = .passUnretained(context.models)
    entrance = BatchEntrance(batcher: .passUnretained(context.batcher), consumer: 0)
    let name = UnsafeMutableRawBufferPointer.allocate(byteCount: context.server.instance.utf8.count, alignment: 8)
    name.copyBytes(from: context.server.instance.utf8)
    instance = UnsafeRawBufferPointer(name)
    nextPrediction = UInt64(reactor) << 48 | 1
    var score = Martlet__V1__ScoreRequest()
    martlet__v1__score_request__init(&score)
    scoreRequest = MessageType("ScoreRequest", score, \.base, martlet__v1__score_request__unpack)
    var describe = Martlet__V1__DescribeRequest()
    martlet__v1__describe_request__init(&describe)
    describeRequest = MessageType("DescribeRequest", describe, \.base, martlet__v1__describe_request__unpack)
    var null = Martlet__V1__NullRequest()
    martlet__v1__null_request__init(&null)
    nullRequest = MessageType("NullRequest", null, \.base, martlet__v1__null_request__unpack)
    entrance = BatchEntrance(batcher: entrance.batcher, consumer: context.batcher.add(self))
  }

  deinit { instance.deallocate() }

  public func unary(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status) {
    switch call.method {
    case 0: try score(call, payload)
    case 1: try describe(call, payload)
    default: try null(call, payload)
    }
  }

  public func cancel(_ call: CallID) { _ = context.batcher.cancel(call) }

  public func disconnected(_ calls: [CallID]) { context.cancel(calls) }

  // MARK: Score

  private func score(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status) {
    if readsPlainRequests {
      if generation != models._withUnsafeGuaranteedRef({ $0.generation }) { forgetRepeated() }
      if let known = repeated.find(payload), try scoreRepeated(call, payload, known) { return }
      if try scorePlain(call, payload) { return }
    }
    let request = try context.unpack(payload, scoreRequest)
    let lane = try context.models.find(
      name: UnsafeRawBufferPointer(text: request.pointee.model),
      version: UnsafeRawBufferPointer(text: request.pointee.version))
    let rows = Int(request.pointee.rows)
    guard rows >= 1, rows <= context.limits.rowsPerCall else {
      throw Status(.invalidArgument, "rows: \(rows); a call has 1 to \(context.limits.rowsPerCall)")
    }
    let served = ServedModel.of(lane)
    let level = try context.level(ofPriority: UInt64(request.pointee.priority))
    try reader.match(request, served.model, rows: rows)
    let room = try context.batcher.reserve(
      lane, rows: rows, textBytes: payload.count, id: call.id, level: level, deadline: call.deadline,
      now: call.received)
    do throws(Status) {
      try reader.fill(request, served.model, room.tile, firstRow: room.firstRow, rows: rows)
    } catch {
      context.batcher.abandon(room)
      throw error
    }
    context.batcher.commit(
      room,
      BatchedCall(
        id: call.id, consumer: entrance.consumer, context: 0, firstRow: room.firstRow, rows: rows,
        arrived: call.received,
        deadline: call.deadline, level: level))
  }

  private func forgetRepeated() {
    repeated.forget()
    generation = context.models.generation
  }

  /// Takes a call whose message was read before, but for its values; false when one of them is refused.
  private func scoreRepeated(
    _ call: CallHead, _ payload: UnsafeRawBufferPointer, _ known: UnsafePointer<ScoreMessages.Known>
  ) throws(Status) -> Bool {
    let served = known.pointee.meaning.served
    let level = known.pointee.meaning.level
    let room = try entrance.reserve(
      served, rows: known.pointee.meaning.rows, textBytes: payload.count, level: level, call)
    let inputs = Unmanaged.passUnretained(room.tile)._withUnsafeGuaranteedRef { $0.inputStarts }
    guard PlainScore.fill(known, of: payload, served.pointee.form, inputs, firstRow: room.firstRow) else {
      context.batcher.abandon(room)
      return false
    }
    entrance.commit(room, call, level: level)
    return true
  }

  /// Takes the call if it is plain and nothing is wrong with it; false when the general path is to decide.
  private func scorePlain(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status) -> Bool {
    guard plain.read(payload),
      let served = context.models.served(name: plain.modelName, version: plain.modelVersion)
    else { return false }
    let form = served.pointee.form
    guard plain.match(form, served.pointee.model, rowsPerCall: context.limits.rowsPerCall),
      let level = context.batcher.level(ofPriority: plain.priority)
    else { return false }
    let room = try entrance.reserve(served, rows: plain.rows, textBytes: payload.count, level: level, call)
    guard plain.fill(form, room.tile, firstRow: room.firstRow) else {
      context.batcher.abandon(room)
      return false
    }
    entrance.commit(room, call, level: level)
    if let values = plain.values(in: payload) {
      repeated.remember(payload, values, ScoreMeaning(served: served, rows: plain.rows, level: level))
    }
    return true
  }

  public func completed(call index: Int, of batch: Batch) {
    let call = batch.calls[index]
    guard call.outcome == .scored else {
      if let status = batch.status(ofCall: index) { responder.fail(call.id, status) }
      return
    }
    ServedModel.of(batch)._withUnsafeGuaranteedRef { served in
      let writer = ScoreWriter(
        served, batch.tile, rows: call.firstRow..<(call.firstRow + call.rows), instance: instance,
        firstPrediction: nextPrediction)
      let size = writer.size()
      guard let target = responder.message(call.id, bytes: size.message) else { return }
      nextPrediction += UInt64(call.rows)
      writer.write(to: target, size)
      responder.finish(call.id, now: batch.scoringEnded)
    }
  }

  // MARK: Null

  private func null(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status) {
    let request = try context.unpack(payload, nullRequest)
    let count = Int(request.pointee.response_bytes)
    let most = TTRPCFrame.maximumDataBytes - 64
    guard count <= most else { throw Status(.invalidArgument, "response_bytes: \(count); at most \(most)") }
    let size = ProtoSize.delimited(1, count)
    guard let target = context.responder.message(call.id, bytes: size) else { return }
    if count > 0 {
      var writer = ProtoWriter(target, bytes: size)
      writer.head(1, count)
      writer.position.initializeMemory(as: UInt8.self, repeating: 0, count: count)
    }
    context.responder.finish(call.id)
  }

  // MARK: Describe

  private func describe(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status) {
    let request = try context.unpack(payload, describeRequest)
    let lane = try context.models.find(
      name: UnsafeRawBufferPointer(text: request.pointee.model),
      version: UnsafeRawBufferPointer(text: request.pointee.version))
    let model = ServedModel.of(lane).model
    let versions = context.models.catalogue.entries.first { $0.name == model.name }?.versions ?? []
    context.answer(call.id, ModelDescription.encode(model, versions: versions.map(\.versionText)))
  }
}
