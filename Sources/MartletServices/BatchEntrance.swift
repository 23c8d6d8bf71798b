import MartletBatching
import MartletCore
import MartletRPC

/// A service's way into the batcher of its reactor for calls of served models, without reference counting. Whoever has
/// it keeps the batcher.
struct BatchEntrance {
  let batcher: Unmanaged<Batcher>
  /// The service's number as a consumer.
  let consumer: UInt8

  /// Room for a call's rows; errors as `Batcher.reserve`.
  @inline(__always)
  func reserve(
    _ served: UnsafePointer<ServedLane>, rows: Int, textBytes: Int, level: UInt8, _ call: CallHead
  ) throws(Status) -> Reservation {
    var failure: Status?
    let room = batcher._withUnsafeGuaranteedRef { batcher in
      served.pointee.lane._withUnsafeGuaranteedRef { lane -> Reservation? in
        do throws(Status) {
          return try batcher.reserve(
            lane, rows: rows, textBytes: textBytes, id: call.id, level: level, deadline: call.deadline,
            now: call.received)
        } catch {
          failure = error
          return nil
        }
      }
    }
    if let room { return room }
    throw failure ?? Status(.internalError, "no room for the rows")
  }

  @inline(__always)
  func commit(_ room: Reservation, _ call: CallHead, note: UInt32 = 0, level: UInt8) {
    let batched = batched(call, note: note, firstRow: room.firstRow, rows: room.rows, level: level)
    batcher._withUnsafeGuaranteedRef { $0.commit(room, batched) }
  }

  /// Both at once, for rows that nothing can be wrong with; nil where `reserve` is to decide.
  @inline(__always)
  func take(
    _ served: UnsafePointer<ServedLane>, rows: Int, level: UInt8, _ call: CallHead, note: UInt32
  ) -> (tile: Unmanaged<Tile>, firstRow: Int)? {
    let batched = batched(call, note: note, firstRow: 0, rows: rows, level: level)
    return batcher._withUnsafeGuaranteedRef { batcher in
      served.pointee.lane._withUnsafeGuaranteedRef { batcher.take(batched, in: $0) }
    }
  }

  @inline(__always)
  private func batched(_ call: CallHead, note: UInt32, firstRow: Int, rows: Int, level: UInt8) -> BatchedCall {
    BatchedCall(
      id: call.id, consumer: consumer, context: note, firstRow: firstRow, rows: rows, arrived: call.received,
      deadline: call.deadline, level: level)
  }
}
