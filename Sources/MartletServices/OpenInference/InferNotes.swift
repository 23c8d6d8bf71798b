import CProtos
import MartletCore
import MartletRepository

/// What must be remembered of a `ModelInfer` call until its rows are scored.
struct InferNote {
  /// The caller's own id, echoed.
  var id: [UInt8] = []
  /// The request had raw contents, so the answer has.
  var isRaw = false
  /// The outputs that were asked for, by index; all of them when none were named.
  var outputs: [Int] = []
}

/// Notes of the calls of one reactor, reused so that a steady load allocates nothing.
struct InferNotes {
  private static let longestID = 1024

  private var notes: [InferNote] = []
  private var free: [UInt32] = []

  subscript(index: UInt32) -> InferNote { notes[Int(index)] }

  /// Errors: INVALID_ARGUMENT for outputs that the model does not have, UNIMPLEMENTED for what is not served.
  mutating func take(_ request: UnsafePointer<Inference__ModelInferRequest>, _ model: Model) throws(Status) -> UInt32 {
    let id = UnsafeRawBufferPointer(text: request.pointee.id)
    guard id.count <= Self.longestID else {
      throw Status(.invalidArgument, "id: \(id.count) bytes; at most \(Self.longestID)")
    }
    let note = next(id: id, isRaw: request.pointee.n_raw_input_contents > 0)
    for position in 0..<request.pointee.n_outputs {
      let output = request.pointee.outputs[position]!
      let name = UnsafeRawBufferPointer(text: output.pointee.name)
      guard let found = model.outputs.find(name, guess: position) else {
        throw Status(
          .invalidArgument,
          "outputs: \(name.quoted) is not an output of model \"\(model.name)\"; it has \(model.outputs.names.joined(separator: ", "))"
        )
      }
      guard !notes[note].outputs.contains(found) else {
        throw Status(.invalidArgument, "outputs: \(name.quoted) came twice")
      }
      for parameter in 0..<output.pointee.n_parameters {
        try InferReader.checkParameter(output.pointee.parameters[parameter]!.pointee.key, of: "outputs")
      }
      notes[note].outputs.append(found)
    }
    if request.pointee.n_outputs == 0 { notes[note].outputs.append(contentsOf: model.signature.outputs.indices) }
    return taken()
  }

  /// The same for a plain request; nil when an output is not one of the model's or comes twice, or the id is too long.
  mutating func take(_ request: PlainInfer, _ model: Model) -> UInt32? {
    guard request.id.count <= Self.longestID else { return nil }
    let note = next(id: request.id, isRaw: request.isRaw)
    for position in 0..<request.outputCount {
      guard let found = model.outputs.find(request.output(position), guess: position),
        !notes[note].outputs.contains(found)
      else { return nil }
      notes[note].outputs.append(found)
    }
    if request.outputCount == 0 {
      for output in 0..<model.signature.outputs.count { notes[note].outputs.append(output) }
    }
    return taken()
  }

  /// The note that will be taken next, filled with what every request has.
  private mutating func next(id: UnsafeRawBufferPointer, isRaw: Bool) -> Int {
    if free.isEmpty {
      free.append(UInt32(notes.count))
      notes.append(InferNote())
    }
    let note = Int(free[free.count - 1])
    notes[note].id.removeAll(keepingCapacity: true)
    notes[note].id.append(contentsOf: id)
    notes[note].isRaw = isRaw
    notes[note].outputs.removeAll(keepingCapacity: true)
    return note
  }

  private mutating func taken() -> UInt32 { free.removeLast() }

  mutating func giveBack(_ index: UInt32) { free.append(index) }
}
