import Logging
import MartletBatching
import MartletCore
import MartletRPC
import MartletRepository
import MartletWire

@testable import MartletEngine
@testable import MartletServices

/// A classifier without a file: two numbers, an integer, a text and a flag in; a label and two probabilities out.
///
/// The label is "yes" when `a + b + n` is above 1 or the text is "yes"; the first probability is `a`, the second `b`.
final class FakePlan: ScoringPlan {
  let signature = ModelSignature(
    inputs: [
      .init(name: "numbers", type: .float32, shape: [2]), .init(name: "n", type: .int64, shape: [1]),
      .init(name: "text", type: .text, shape: [1]), .init(name: "flag", type: .bool, shape: []),
      .init(name: "wide", type: .float64, shape: [1]),
    ],
    outputs: [
      .init(name: "label", type: .text, shape: [], role: .label, classes: .text(["no", "yes"])),
      .init(name: "probability", type: .float32, shape: [2], role: .probability, classes: .text(["no", "yes"])),
    ],
    columns: [
      .init(name: "a", input: 0, offset: 0, type: .float32, missingAllowed: true),
      .init(name: "b", input: 0, offset: 1, type: .float32, missingAllowed: false),
      .init(name: "n", input: 1, offset: 0, type: .int64, missingAllowed: false),
      .init(name: "text", input: 2, offset: 0, type: .text, missingAllowed: true),
      .init(name: "flag", input: 3, offset: 0, type: .bool, missingAllowed: false),
      .init(name: "wide", input: 4, offset: 0, type: .float64, missingAllowed: true),
    ])
  let summary = "fake"
  let textCoding: TextCoding?

  /// - Parameter codesTexts: whether it takes the number of a text, 0 for "yes", in place of the text.
  init(codesTexts: Bool = false) {
    let coder = DictionaryCoder([CodeDictionary(.texts(["yes", "ünï"].map { Array($0.utf8) }))])
    textCoding = codesTexts ? TextCoding([nil, nil, coder, nil, nil]) : nil
  }

  func makeScratch() -> PlanScratch { PlanScratch() }

  func score(_ tile: Tile, rows: Range<Int>, scratch: PlanScratch) throws(Status) {
    let numbers = tile.input(0).assumingMemoryBound(to: Float.self)
    let n = tile.input(1).assumingMemoryBound(to: Int64.self)
    let text = tile.input(2).assumingMemoryBound(to: TextRef.self)
    let code = tile.input(2).assumingMemoryBound(to: UInt16.self)
    let label = tile.output(0).assumingMemoryBound(to: TextRef.self)
    let probability = tile.output(1).assumingMemoryBound(to: Float.self)
    for row in rows {
      let saysYes = tile.coder(2) != nil ? code[row] == 0 : text[row].string == "yes"
      let isYes = numbers[2 * row] + numbers[2 * row + 1] + Float(n[row]) > 1 || saysYes
      label[row] = Array((isYes ? "yes" : "no").utf8).withUnsafeBytes { tile.texts.store($0) }
      probability[2 * row] = numbers[2 * row]
      probability[2 * row + 1] = numbers[2 * row + 1]
    }
  }
}

/// The services of one reactor without a socket: a payload in, an answer out.
final class ServiceBench: Responder {
  let scoring: ScoringService
  let inference: OpenInferenceService
  let health: HealthService
  let state: ServerState
  private let batcher: Batcher
  private let arena: MessageArena
  private var context: ServiceContext!
  private var answer: [UInt8] = []
  private var target: UnsafeMutableRawBufferPointer?
  private var status: Status?
  private var isFinished = false

  init(
    configuration: ModelConfiguration = ModelConfiguration(), rowsPerCall: Int = 1_000,
    plan: any ScoringPlan = FakePlan()
  ) {
    batcher = Batcher(
      options: .init(), scorer: nil, budget: MemoryBudget(limitBytes: 64 << 20), post: { $0() }, wake: { _ in })
    arena = MessageArena(capBytes: 4 << 20)
    let repository = ModelRepository(
      options: .init(directory: "/nonexistent"), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    state = ServerState(version: "test", policy: .any, repository: repository)
    let models = ReactorModels(limits: BatchLimits())
    let version = { (number: Int) in
      Model(
        name: "fake", version: number, plan: plan, configuration: configuration, format: "fake", digest: "00",
        fileBytes: 1, loadSeconds: 0, loadedAt: 0)
    }
    models.serve(
      Catalogue([
        .init(name: "fake", versions: [version(7), version(3)], reason: ""),
        .init(name: "broken", versions: [], reason: "version 1: malformed"),
      ]))
    let responder = Relay()
    let context = ServiceContext(
      responder: responder, batcher: batcher, models: models, arena: arena, server: state, repository: repository,
      limits: .init(rowsPerCall: rowsPerCall), post: { $0() })
    scoring = ScoringService(context, reactor: 2)
    inference = OpenInferenceService(context)
    health = HealthService(context, services: [scoring.name, inference.name])
    self.context = context
    responder.bench = self
  }

  /// What the service answers to a message.
  func call(
    _ service: any Service, _ method: String, _ payload: [UInt8], isLocal: Bool = true
  ) throws(Status) -> [UInt8] {
    arena.reset()
    answer = []
    status = nil
    isFinished = false
    let head = CallHead(
      id: CallID(reactor: 0, connection: 0, generation: 0, stream: 1, entry: 0),
      method: service.methods.firstIndex { $0.name == method }!, received: .now(), deadline: .distantFuture,
      isLocal: isLocal)
    let refusal = payload.withUnsafeBytes { bytes -> Status? in
      do throws(Status) {
        try service.unary(head, bytes)
        return nil
      } catch {
        return error
      }
    }
    if let refusal { throw refusal }
    while !isFinished { _ = batcher.roundEnded(now: .now()) }
    if let status { throw status }
    if let target {
      answer = Array(target)
      target.deallocate()
      self.target = nil
    }
    return answer
  }

  /// The status that the service answers with; nil when it answers well.
  func refusal(_ service: any Service, _ method: String, _ payload: [UInt8], isLocal: Bool = true) -> Status? {
    do throws(Status) {
      _ = try call(service, method, payload, isLocal: isLocal)
      return nil
    } catch {
      return error
    }
  }

  func message(_ call: CallID, bytes: Int) -> UnsafeMutableRawPointer? {
    target = .allocate(byteCount: bytes, alignment: 16)
    // A byte that the writer forgets shows.
    target!.initializeMemory(as: UInt8.self, repeating: 0xee)
    return target!.baseAddress ?? UnsafeMutableRawPointer(bitPattern: 16)
  }

  func finish(_ call: CallID, now: MonotonicTime) { isFinished = true }

  func fail(_ call: CallID, _ status: Status) {
    self.status = status
    isFinished = true
  }

  /// The services want their responder before the bench is whole.
  private final class Relay: Responder {
    unowned var bench: ServiceBench!
    func message(_ call: CallID, bytes: Int) -> UnsafeMutableRawPointer? { bench.message(call, bytes: bytes) }
    func finish(_ call: CallID, now: MonotonicTime) { bench.finish(call, now: now) }
    func fail(_ call: CallID, _ status: Status) { bench.fail(call, status) }
  }
}

extension ProtoBuffer {
  mutating func floats(_ field: Int, _ values: [Float]) {
    data(field, values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian) { Array($0) } })
  }

  mutating func doubles(_ field: Int, _ values: [Double]) {
    data(field, values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian) { Array($0) } })
  }
}

/// Numbers only: three floats and an integer in, their sum as three types out. Columns are the floats and the integer.
final class NumbersPlan: ScoringPlan {
  let signature = ModelSignature(
    inputs: [.init(name: "numbers", type: .float32, shape: [3]), .init(name: "n", type: .int64, shape: [1])],
    outputs: [
      .init(name: "sum", type: .float64, shape: [], role: .other),
      .init(name: "short", type: .float32, shape: [2], role: .other),
      .init(name: "whole", type: .int32, shape: [3], role: .other),
    ],
    columns: [
      .init(name: "a", input: 0, offset: 0, type: .float32, missingAllowed: true),
      .init(name: "b", input: 0, offset: 1, type: .float32, missingAllowed: true),
      .init(name: "c", input: 0, offset: 2, type: .float32, missingAllowed: true),
      .init(name: "long", input: 1, offset: 0, type: .int64, missingAllowed: false),
    ])
  let summary = "numbers"

  func makeScratch() -> PlanScratch { PlanScratch() }

  func score(_ tile: Tile, rows: Range<Int>, scratch: PlanScratch) throws(Status) {
    let numbers = tile.input(0).assumingMemoryBound(to: Float.self)
    let n = tile.input(1).assumingMemoryBound(to: Int64.self)
    for row in rows {
      let sum = Double(numbers[3 * row]) + Double(numbers[3 * row + 1]) + Double(numbers[3 * row + 2]) + Double(n[row])
      tile.output(0).assumingMemoryBound(to: Double.self)[row] = sum
      for column in 0..<2 { tile.output(1).assumingMemoryBound(to: Float.self)[2 * row + column] = Float(sum) }
      for column in 0..<3 { tile.output(2).assumingMemoryBound(to: Int32.self)[3 * row + column] = Int32(row) }
    }
  }
}
