import MartletCore
import MartletWire

/// The answers to the usual calls of one model, encoded but for their values: they are the same for all calls of as many
/// rows that have raw contents, no id, and want every output.
///
/// Confined to its reactor.
final class InferAnswers {
  private struct Place {
    /// Where the values lie in the message.
    var position: Int
    var count: Int
    var stride: Int
  }

  private struct Answer {
    /// -1 while there is none.
    var rows = -1
    var size = 0
    var bytes: UnsafeMutableRawPointer
    /// One for each output.
    var places: UnsafeMutablePointer<Place>
  }

  private static let slots = 8
  private static let longestBytes = 4096

  private let form: InferForm
  let outputCount: Int
  /// By the rows, modulo their number; nil when a model's answers have no fixed places.
  private let answers: UnsafeMutablePointer<Answer>?

  init(_ form: InferForm) {
    self.form = form
    outputCount = form.outputs.count
    guard form.outputs.allSatisfy({ $0.type != .text }) else {
      answers = nil
      return
    }
    let answers = UnsafeMutablePointer<Answer>.allocate(capacity: Self.slots)
    for slot in 0..<Self.slots {
      (answers + slot).initialize(
        to: Answer(
          bytes: .allocate(byteCount: Self.longestBytes, alignment: 16),
          places: .allocate(capacity: max(1, form.outputs.count))))
    }
    self.answers = answers
  }

  deinit {
    guard let answers else { return }
    for slot in 0..<Self.slots {
      answers[slot].bytes.deallocate()
      answers[slot].places.deallocate()
    }
    answers.deallocate()
  }

  /// Bytes of the answer to a usual call of so many rows; 0 when it has to be prepared.
  @inline(__always)
  func size(rows: Int) -> Int {
    guard let answers else { return 0 }
    let answer = answers + (rows & (Self.slots - 1))
    return answer.pointee.rows == rows ? answer.pointee.size : 0
  }

  /// Writes the answer whose size was asked for.
  @inline(__always)
  func write(to target: UnsafeMutableRawPointer, rows: Int, firstRow: Int, _ tile: Tile) {
    let answer = answers.unsafelyUnwrapped + (rows & (Self.slots - 1))
    target.copyMemory(from: answer.pointee.bytes, byteCount: answer.pointee.size)
    let starts = tile.outputStarts
    for output in 0..<outputCount {
      let place = answer.pointee.places[output]
      let source = starts[output] + firstRow * place.stride
      if place.count == 8 {
        (target + place.position).storeBytes(of: source.loadUnaligned(as: UInt64.self), as: UInt64.self)
      } else if place.count == 4 {
        (target + place.position).storeBytes(of: source.loadUnaligned(as: UInt32.self), as: UInt32.self)
      } else {
        (target + place.position).copyMemory(from: source, byteCount: place.count)
      }
    }
  }

  /// Prepares the answer to usual calls of so many rows.
  ///
  /// - Returns: its size; 0 when `InferWriter` is to write it.
  func prepare(rows: Int, note: InferNote, _ tile: Tile) -> Int {
    guard let answers else { return 0 }
    assert(note.isRaw && note.idCount == 0 && note.outputCount == outputCount)
    let writer = InferWriter(form, tile, firstRow: 0, rows: rows, note: note)
    let size = writer.size()
    guard size <= Self.longestBytes else { return 0 }
    let answer = answers + (rows & (Self.slots - 1))
    writer.write(to: answer.pointee.bytes, size)
    // Raw contents come last, an output behind the other.
    var end = size
    for output in (0..<outputCount).reversed() {
      let stride = form.outputs[output].stride
      let position = end - rows * stride
      (answer.pointee.places + output).initialize(to: Place(position: position, count: rows * stride, stride: stride))
      end -= ProtoSize.always(6, rows * stride)
    }
    answer.pointee.rows = rows
    answer.pointee.size = size
    return size
  }
}
