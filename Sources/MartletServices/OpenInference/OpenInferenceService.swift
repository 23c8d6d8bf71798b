import CProtos
import MartletBatching
import MartletCore
import MartletRPC
import MartletRepository
import MartletWire

/// `inference.GRPCInferenceService`: the Open Inference Protocol v2, unary methods.
public final class OpenInferenceService: UnaryService, BatchConsumer {
  private enum Method: Int, CaseIterable {
    case serverLive
    case serverReady
    case modelReady
    case serverMetadata
    case modelMetadata
    case modelInfer
    case repositoryIndex
    case repositoryModelLoad
    case repositoryModelUnload

    var name: String {
      switch self {
      case .serverLive: "ServerLive"
      case .serverReady: "ServerReady"
      case .modelReady: "ModelReady"
      case .serverMetadata: "ServerMetadata"
      case .modelMetadata: "ModelMetadata"
      case .modelInfer: "ModelInfer"
      case .repositoryIndex: "RepositoryIndex"
      case .repositoryModelLoad: "RepositoryModelLoad"
      case .repositoryModelUnload: "RepositoryModelUnload"
      }
    }
  }

  private static let modelNameBytes = 255

  public let name = "inference.GRPCInferenceService"
  public let methods = Method.allCases.map { MethodDescriptor($0.name) }

  private let context: ServiceContext
  private var reader = InferReader()
  private let plain = PlainInfer()
  /// Whether usual requests take the fast path; off only for tests that compare the two.
  @_spi(Comparison) public var readsPlainRequests = true
  private let notes = InferNotes()
  private let repeated = InferMessages()
  /// The models that `repeated` points into.
  private var generation: UInt64 = 0
  private let responder: any Responder
  // As in `context`, which keeps them: reached without reference counting.
  private let models: Unmanaged<ReactorModels>
  private var entrance: BatchEntrance
  private let inferRequest: MessageType<Inference__ModelInferRequest>
  private let readyRequest: MessageType<Inference__ModelReadyRequest>
  private let metadataRequest: MessageType<Inference__ModelMetadataRequest>
  private let indexRequest: MessageType<Inference__RepositoryIndexRequest>
  private let loadRequest: MessageType<Inference__RepositoryModelLoadRequest>
  private let unloadRequest: MessageType<Inference__RepositoryModelUnloadRequest>

  public init(_ context: ServiceContext) {
    self.context = context
    responder = context.responder
    models = .passUnretained(context.models)
    entrance = BatchEntrance(batcher: .passUnretained(context.batcher), consumer: 0)
    var infer = Inference__ModelInferRequest()
    inference__model_infer_request__init(&infer)
    inferRequest = MessageType("ModelInferRequest", infer, \.base, inference__model_infer_request__unpack)
    var ready = Inference__ModelReadyRequest()
    inference__model_ready_request__init(&ready)
    readyRequest = MessageType("ModelReadyRequest", ready, \.base, inference__model_ready_request__unpack)
    var metadata = Inference__ModelMetadataRequest()
    inference__model_metadata_request__init(&metadata)
    metadataRequest = MessageType(
      "ModelMetadataRequest", metadata, \.base, inference__model_metadata_request__unpack)
    var index = Inference__RepositoryIndexRequest()
    inference__repository_index_request__init(&index)
    indexRequest = MessageType(
      "RepositoryIndexRequest", index, \.base, inference__repository_index_request__unpack)
    var load = Inference__RepositoryModelLoadRequest()
    inference__repository_model_load_request__init(&load)
    loadRequest = MessageType(
      "RepositoryModelLoadRequest", load, \.base, inference__repository_model_load_request__unpack)
    var unload = Inference__RepositoryModelUnloadRequest()
    inference__repository_model_unload_request__init(&unload)
    unloadRequest = MessageType(
      "RepositoryModelUnloadRequest", unload, \.base, inference__repository_model_unload_request__unpack)
    entrance = BatchEntrance(batcher: entrance.batcher, consumer: context.batcher.add(self))
  }

  public func unary(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status) {
    if call.method == Method.modelInfer.rawValue { return try infer(call, payload) }
    switch Method(rawValue: call.method)! {
    case .modelInfer: break
    case .serverLive:
      var answer = ProtoBuffer()
      answer.bool(1, true)
      context.answer(call.id, answer)
    case .serverReady:
      var answer = ProtoBuffer()
      answer.bool(1, context.server.readiness.isReady)
      context.answer(call.id, answer)
    case .modelReady: try modelReady(call, payload)
    case .serverMetadata:
      var answer = ProtoBuffer()
      answer.string(1, "martlet")
      answer.string(2, context.server.version)
      answer.element(3, "model_repository")
      context.answer(call.id, answer)
    case .modelMetadata: try modelMetadata(call, payload)
    case .repositoryIndex: try repositoryIndex(call, payload)
    case .repositoryModelLoad:
      let request = try context.unpack(payload, loadRequest)
      try change(call, request.pointee.repository_name, request.pointee.model_name, context.repository.load)
    case .repositoryModelUnload:
      let request = try context.unpack(payload, unloadRequest)
      try change(call, request.pointee.repository_name, request.pointee.model_name, context.repository.unload)
    }
  }

  public func cancel(_ call: CallID) { _ = context.batcher.cancel(call) }

  public func disconnected(_ calls: [CallID]) { context.cancel(calls) }

  // MARK: ModelInfer

  private func infer(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status) {
    if readsPlainRequests {
      if generation != models._withUnsafeGuaranteedRef({ $0.generation }) { forgetRepeated() }
      if let known = repeated.find(payload) { return try inferRepeated(call, payload, known) }
      if try inferPlain(call, payload) { return }
    }
    let request = try context.unpack(payload, inferRequest)
    let lane = try context.models.find(
      name: UnsafeRawBufferPointer(text: request.pointee.model_name),
      version: UnsafeRawBufferPointer(text: request.pointee.model_version))
    let model = ServedModel.of(lane).model
    let rows = try reader.match(request, model, rowsPerCall: context.limits.rowsPerCall)
    let level = try context.level(ofPriority: reader.priority)
    let note = try notes.take(request, model)
    do throws(Status) {
      let room = try context.batcher.reserve(
        lane, rows: rows, textBytes: payload.count, id: call.id, level: level, deadline: call.deadline,
        now: call.received)
      do throws(Status) {
        try reader.fill(request, model, room.tile, firstRow: room.firstRow, rows: rows)
      } catch {
        context.batcher.abandon(room)
        throw error
      }
      context.batcher.commit(
        room,
        BatchedCall(
          id: call.id, consumer: entrance.consumer, context: note, firstRow: room.firstRow, rows: rows,
          arrived: call.received,
          deadline: call.deadline, level: level))
    } catch {
      notes.giveBack(note)
      throw error
    }
  }

  private func forgetRepeated() {
    repeated.forget()
    generation = context.models.generation
  }

  /// Takes a call whose message was read before, but for its values.
  private func inferRepeated(
    _ call: CallHead, _ payload: UnsafeRawBufferPointer, _ known: UnsafePointer<InferMessages.Known>
  ) throws(Status) {
    let meaning = known.pointee.meaning
    if let taken = entrance.take(meaning.served, rows: meaning.rows, level: meaning.level, call, note: meaning.note) {
      return Self.fill(taken.tile, taken.firstRow, payload, known)
    }
    let room = try entrance.reserve(
      meaning.served, rows: meaning.rows, textBytes: payload.count, level: meaning.level, call)
    Self.fill(.passUnretained(room.tile), room.firstRow, payload, known)
    entrance.commit(room, call, note: meaning.note, level: meaning.level)
  }

  @inline(__always)
  private static func fill(
    _ tile: Unmanaged<Tile>, _ firstRow: Int, _ payload: UnsafeRawBufferPointer,
    _ known: UnsafePointer<InferMessages.Known>
  ) {
    let starts = tile._withUnsafeGuaranteedRef { $0.inputStarts }
    let source = payload.baseAddress.unsafelyUnwrapped
    for index in 0..<known.pointee.valueCount {
      let values = known.pointee.values[index]
      (starts[values.target] + firstRow * values.stride)
        .copyMemory(from: source + values.offset, byteCount: values.count)
    }
  }

  /// Takes the call if it is plain and nothing is wrong with it; false when the general path is to decide.
  private func inferPlain(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status) -> Bool {
    guard plain.read(payload),
      let served = context.models.served(name: plain.modelName, version: plain.modelVersion)
    else { return false }
    let form = served.pointee.inferForm
    guard plain.match(form, served.pointee.model, rowsPerCall: context.limits.rowsPerCall),
      let level = context.batcher.level(ofPriority: plain.priority),
      let note = notes.take(plain, served.pointee.model, outputs: form.outputs.count)
    else { return false }
    do throws(Status) {
      let room = try entrance.reserve(served, rows: plain.rows, textBytes: payload.count, level: level, call)
      do throws(Status) {
        try plain.fill(form, served.pointee.model, room.tile, firstRow: room.firstRow)
      } catch {
        context.batcher.abandon(room)
        throw error
      }
      entrance.commit(room, call, note: note, level: level)
    } catch {
      notes.giveBack(note)
      throw error
    }
    if note <= InferNotes.usualRaw, let values = plain.values(in: payload, form) {
      repeated.remember(payload, values, InferMeaning(served: served, rows: plain.rows, note: note, level: level))
    }
    return true
  }

  public func completed(calls: Range<Int>, of batch: Batch) {
    let served = ServedModel.of(batch.lane)
    let answers = served.inferAnswers
    let tile = batch.tile
    var index = calls.lowerBound
    while index < calls.upperBound {
      if batch.calls[index].outcome == .scored, batch.calls[index].context == InferNotes.usualRaw {
        let count = batch.calls.countAlike(from: index, to: calls.upperBound)
        if answerUsual(index, count, batch, tile, answers) {
          index += count
          continue
        }
      }
      completed(call: index, of: batch)
      index += 1
    }
  }

  public func completed(call index: Int, of batch: Batch) {
    let call = batch.calls[index]
    guard call.outcome == .scored else { return fail(index, of: batch) }
    ServedModel.of(batch)._withUnsafeGuaranteedRef { served in
      let writer = InferWriter(
        served.inferForm, batch.tile, firstRow: call.firstRow, rows: call.rows,
        note: notes[call.context, outputs: served.inferForm.outputs.count])
      let size = writer.size()
      guard let target = responder.message(call.id, bytes: size) else { return }
      writer.write(to: target, size)
      responder.finish(call.id, now: batch.scoringEnded)
    }
    notes.giveBack(call.context)
  }

  /// Answers usual calls that are alike, whose answers are known but for their values; false when they are not.
  @inline(__always)
  private func answerUsual(_ index: Int, _ count: Int, _ batch: Batch, _ tile: Tile, _ answers: InferAnswers) -> Bool {
    let rows = batch.calls[index].rows
    var size = answers.size(rows: rows)
    if size == 0 {
      let note = notes[InferNotes.usualRaw, outputs: answers.outputCount]
      size = answers.prepare(rows: rows, note: note, tile)
    }
    guard size > 0 else { return false }
    responder.answer(batch.calls.run(from: index, count: count), bytes: size, now: batch.scoringEnded) { run in
      var target = run.target
      for call in run.calls {
        answers.write(to: target, rows: rows, firstRow: batch.calls[index + call].firstRow, tile)
        target += run.stride
      }
    }
    return true
  }

  private func fail(_ index: Int, of batch: Batch) {
    let call = batch.calls[index]
    notes.giveBack(call.context)
    if let status = batch.status(ofCall: index) { responder.fail(call.id, status) }
  }

  // MARK: Models

  private func modelReady(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status) {
    let request = try context.unpack(payload, readyRequest)
    var isReady = !context.server.isDraining
    do throws(Status) {
      _ = try context.models.find(
        name: UnsafeRawBufferPointer(text: request.pointee.name),
        version: UnsafeRawBufferPointer(text: request.pointee.version))
    } catch {
      guard error.code == .unavailable else { throw error }
      isReady = false
    }
    var answer = ProtoBuffer()
    answer.bool(1, isReady)
    context.answer(call.id, answer)
  }

  private func modelMetadata(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status) {
    let request = try context.unpack(payload, metadataRequest)
    let lane = try context.models.find(
      name: UnsafeRawBufferPointer(text: request.pointee.name),
      version: UnsafeRawBufferPointer(text: request.pointee.version))
    let model = ServedModel.of(lane).model
    let versions = context.models.catalogue.entries.first { $0.name == model.name }?.versions ?? []
    var answer = ProtoBuffer()
    answer.string(1, model.name)
    for version in versions { answer.element(2, version.versionText) }
    answer.string(3, model.format)
    for input in model.signature.inputs {
      answer.message(4) { Self.tensor(input.name, input.type, input.shape, &$0) }
    }
    for output in model.signature.outputs {
      answer.message(5) { Self.tensor(output.name, output.type, output.shape, &$0) }
    }
    context.answer(call.id, answer)
  }

  private static func tensor(_ name: String, _ type: ElementType, _ shape: [Int], _ message: inout ProtoBuffer) {
    message.string(1, name)
    message.string(2, type.datatype)
    message.packed(3, [-1] + shape.map { Int64($0) })
  }

  // MARK: Repository

  private func repositoryIndex(_ call: CallHead, _ payload: UnsafeRawBufferPointer) throws(Status) {
    let request = try context.unpack(payload, indexRequest)
    try Self.checkRepository(request.pointee.repository_name)
    var answer = ProtoBuffer()
    for state in context.repository.states where request.pointee.ready == 0 || state.state == "READY" {
      answer.message(1) { message in
        message.string(1, state.name)
        message.string(2, state.version)
        message.string(3, state.state)
        message.string(4, state.reason)
      }
    }
    context.answer(call.id, answer)
  }

  private static func checkRepository(_ name: UnsafePointer<CChar>?) throws(Status) {
    let name = UnsafeRawBufferPointer(text: name)
    guard name.count == 0 else {
      throw Status(.notFound, "repository_name: \(name.quoted); there is one repository, without a name")
    }
  }

  /// Loads or unloads on the repository's own thread and answers when every reactor serves the outcome.
  private func change(
    _ call: CallHead, _ repository: UnsafePointer<CChar>?, _ model: UnsafePointer<CChar>?,
    _ work: (String, @escaping @Sendable (Result<Void, Status>) -> Void) -> Void
  ) throws(Status) {
    guard call.isLocal else {
      throw Status(.permissionDenied, "loading and unloading are allowed over loopback and Unix sockets only")
    }
    try Self.checkRepository(repository)
    let name = UnsafeRawBufferPointer(text: model)
    guard name.count > 0 else { throw Status(.invalidArgument, "model_name: empty; the name of a model is expected") }
    // It may wait for long, and no folder has a longer name.
    guard name.count <= Self.modelNameBytes else {
      throw Status(
        .invalidArgument, "model_name: \(name.count) bytes; a name of at most \(Self.modelNameBytes) is expected")
    }
    let post = context.post
    let id = call.id
    // Touched on the reactor's thread only, which `post` leads back to.
    nonisolated(unsafe) let context = self.context
    work(String(decoding: name, as: UTF8.self)) { result in
      post {
        switch result {
        case .success: context.answer(id, ProtoBuffer())
        case .failure(let status): context.responder.fail(id, status)
        }
      }
    }
  }
}
