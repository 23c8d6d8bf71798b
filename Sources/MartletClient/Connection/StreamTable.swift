/// The calls in flight on one connection: stream number to the caller's own name of the call.
///
/// Open addressing with linear probing; a removal moves later entries back, so that no tombstones gather over millions
/// of calls. Memory is taken only when more calls are in flight than ever before. Stream 0 marks a free place: a
/// client's streams are odd.
struct StreamTable: Sendable {
  private var streams: [UInt32]
  private var calls: [UInt64]
  private(set) var count = 0

  init(capacity: Int = 64) {
    let places = max(8, capacity.nextPowerOfTwo)
    streams = Array(repeating: 0, count: places)
    calls = Array(repeating: 0, count: places)
  }

  mutating func insert(stream: UInt32, call: UInt64) {
    // Half full at most: probes stay short.
    if (count + 1) * 2 > streams.count { grow() }
    var place = home(stream)
    while streams[place] != 0 { place = (place + 1) & (streams.count - 1) }
    streams[place] = stream
    calls[place] = call
    count += 1
  }

  /// The call on `stream`, which is no longer in flight; nil when there is none.
  mutating func remove(stream: UInt32) -> UInt64? {
    let mask = streams.count - 1
    var place = home(stream)
    while streams[place] != stream {
      if streams[place] == 0 { return nil }
      place = (place + 1) & mask
    }
    let call = calls[place]
    count -= 1
    var next = place
    while true {
      next = (next + 1) & mask
      guard streams[next] != 0 else { break }
      // An entry may fill the gap unless its home lies behind it, cyclically in (place, next].
      let distance = (next - home(streams[next])) & mask
      if distance >= (next - place) & mask {
        streams[place] = streams[next]
        calls[place] = calls[next]
        place = next
      }
    }
    streams[place] = 0
    return call
  }

  /// Empties the table and returns what was in it, oldest first.
  mutating func removeAll() -> [UInt64] {
    let entries = zip(streams, calls).filter { $0.0 != 0 }.sorted { $0.0 < $1.0 }
    for index in streams.indices { streams[index] = 0 }
    count = 0
    return entries.map { $0.1 }
  }

  private func home(_ stream: UInt32) -> Int { Int(stream >> 1) & (streams.count - 1) }

  private mutating func grow() {
    var larger = StreamTable(capacity: streams.count * 2)
    for (stream, call) in zip(streams, calls) where stream != 0 { larger.insert(stream: stream, call: call) }
    self = larger
  }
}

extension Int {
  fileprivate var nextPowerOfTwo: Int { 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount) }
}
