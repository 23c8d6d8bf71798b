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
    let index = free.last ?? UInt32(notes.count)
    if free.isEmpty { notes.append(InferNote()) }
    let note = Int(index)
    notes[note].id.removeAll(keepingCapacity: true)
    notes[note].id.append(contentsOf: id)
    notes[note].isRaw = request.pointee.n_raw_input_contents > 0
    notes[note].outputs.removeAll(keepingCapacity: true)
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
    if !free.isEmpty { free.removeLast() }
    return index
  }

  mutating func giveBack(_ index: UInt32) { free.append(index) }
}
