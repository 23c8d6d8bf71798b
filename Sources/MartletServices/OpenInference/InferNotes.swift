import CProtos
import MartletCore
import MartletRepository

/// What must be remembered of a `ModelInfer` call until its rows are scored.
struct InferNote {
  /// The caller's own id, echoed.
  var id: UnsafeMutablePointer<UInt8>
  var idCount = 0
  /// The outputs that were asked for, by index; all of them when none were named.
  var outputs: UnsafeMutablePointer<Int32>
  var outputCount = 0
  var outputCapacity: Int
  /// The request had raw contents, so the answer has.
  var isRaw = false
}

/// Notes of the calls of one reactor, reused so that a steady load allocates nothing. Confined to its reactor.
final class InferNotes {
  private static let longestID = 1024
  /// The notes of the usual calls, which have no id and want every output: one for all with typed contents, one for all
  /// with raw ones.
  static let usualTyped: UInt32 = 0
  static let usualRaw: UInt32 = 1

  private var notes: UnsafeMutablePointer<InferNote>
  private var count = 0
  private var capacity = 64
  private var free: [UInt32] = []

  init() {
    notes = .allocate(capacity: capacity)
    for number in [Self.usualTyped, Self.usualRaw] {
      make()
      free.removeLast()
      notes[Int(number)].isRaw = number == Self.usualRaw
    }
  }

  deinit {
    for index in 0..<count {
      notes[index].id.deallocate()
      notes[index].outputs.deallocate()
    }
    notes.deallocate()
  }

  /// Valid until the note is given back.
  ///
  /// - Parameter outputs: how many the model has.
  subscript(index: UInt32, outputs outputs: Int) -> InferNote {
    var note = notes[Int(index)]
    if index <= Self.usualRaw { note.outputCount = outputs }
    return note
  }

  /// The note of a usual call.
  private func usual(isRaw: Bool, outputs: Int) -> UInt32 {
    let index = isRaw ? Self.usualRaw : Self.usualTyped
    let note = notes + Int(index)
    if note.pointee.outputCount < outputs {
      if note.pointee.outputCapacity < outputs {
        note.pointee.outputs.deallocate()
        note.pointee.outputs = .allocate(capacity: outputs)
        note.pointee.outputCapacity = outputs
      }
      for output in 0..<outputs { (note.pointee.outputs + output).initialize(to: Int32(output)) }
      note.pointee.outputCount = outputs
    }
    return index
  }

  /// Errors: INVALID_ARGUMENT for outputs that the model does not have, UNIMPLEMENTED for what is not served.
  func take(_ request: UnsafePointer<Inference__ModelInferRequest>, _ model: Model) throws(Status) -> UInt32 {
    let id = UnsafeRawBufferPointer(text: request.pointee.id)
    guard id.count <= Self.longestID else {
      throw Status(.invalidArgument, "id: \(id.count) bytes; at most \(Self.longestID)")
    }
    let note = next(id: id, isRaw: request.pointee.n_raw_input_contents > 0, outputs: model.signature.outputs.count)
    for position in 0..<request.pointee.n_outputs {
      let output = request.pointee.outputs[position]!
      let name = UnsafeRawBufferPointer(text: output.pointee.name)
      guard let found = model.outputs.find(name, guess: position) else {
        throw Status(
          .invalidArgument,
          "outputs: \(name.quoted) is not an output of model \"\(model.name)\"; it has \(model.outputs.names.joined(separator: ", "))"
        )
      }
      guard Self.add(found, to: note) else { throw Status(.invalidArgument, "outputs: \(name.quoted) came twice") }
      for parameter in 0..<output.pointee.n_parameters {
        try InferReader.checkParameter(output.pointee.parameters[parameter]!.pointee.key, of: "outputs")
      }
    }
    return taken(note, outputs: model.signature.outputs.count)
  }

  /// The same for a plain request; nil when an output is not one of the model's or comes twice, or the id is too long.
  func take(_ request: PlainInfer, _ model: Model, outputs: Int) -> UInt32? {
    guard request.id.count <= Self.longestID else { return nil }
    if request.id.count == 0, request.outputCount == 0 { return usual(isRaw: request.isRaw, outputs: outputs) }
    let note = next(id: request.id, isRaw: request.isRaw, outputs: outputs)
    for position in 0..<request.outputCount {
      guard let found = model.outputs.find(request.output(position), guess: position), Self.add(found, to: note) else {
        return nil
      }
    }
    return taken(note, outputs: outputs)
  }

  @inline(__always)
  func giveBack(_ index: UInt32) {
    if index > Self.usualRaw { free.append(index) }
  }

  /// The note that will be taken next, filled with what every request has.
  private func next(id: UnsafeRawBufferPointer, isRaw: Bool, outputs: Int) -> UnsafeMutablePointer<InferNote> {
    if free.isEmpty { make() }
    let note = notes + Int(free[free.count - 1])
    if let start = id.baseAddress {
      UnsafeMutableRawPointer(note.pointee.id).copyMemory(from: start, byteCount: id.count)
    }
    note.pointee.idCount = id.count
    note.pointee.isRaw = isRaw
    note.pointee.outputCount = 0
    if note.pointee.outputCapacity < outputs {
      note.pointee.outputs.deallocate()
      note.pointee.outputs = .allocate(capacity: outputs)
      note.pointee.outputCapacity = outputs
    }
    return note
  }

  private func make() {
    if count == capacity {
      let larger = UnsafeMutablePointer<InferNote>.allocate(capacity: 2 * capacity)
      larger.moveInitialize(from: notes, count: count)
      notes.deallocate()
      notes = larger
      capacity *= 2
    }
    let note = InferNote(
      id: .allocate(capacity: Self.longestID), outputs: .allocate(capacity: 4), outputCapacity: 4)
    (notes + count).initialize(to: note)
    free.append(UInt32(count))
    count += 1
  }

  /// Notes an output, of which each comes once at most: false for one that is there already.
  private static func add(_ output: Int, to note: UnsafeMutablePointer<InferNote>) -> Bool {
    for index in 0..<note.pointee.outputCount where note.pointee.outputs[index] == Int32(output) { return false }
    note.pointee.outputs[note.pointee.outputCount] = Int32(output)
    note.pointee.outputCount += 1
    return true
  }

  private func taken(_ note: UnsafeMutablePointer<InferNote>, outputs: Int) -> UInt32 {
    if note.pointee.outputCount == 0 {
      for output in 0..<outputs { note.pointee.outputs[output] = Int32(output) }
      note.pointee.outputCount = outputs
    }
    return free.removeLast()
  }
}
