import MartletCore

/// The calls of one reactor that have not been answered: a slab, so that a call is found by its id without a search.
///
/// In memory of its own: an array would be checked for other owners at every change. Confined to its reactor.
struct CallTable: ~Copyable {
  struct Entry {
    var id: CallID
    var isLive: Bool
    var service: UInt16
    /// The router's number of the method.
    var route: Int32
    var received: MonotonicTime
    var nextFree: Int32
  }

  private var entries: UnsafeMutablePointer<Entry>
  private var capacity = 256
  /// Entries that were ever used: below it they are initialised.
  private var used = 0
  private var firstFree: Int32 = -1
  private(set) var count = 0

  init() { entries = .allocate(capacity: capacity) }

  deinit { entries.deallocate() }

  /// Enters a call and returns its id with the entry filled in.
  mutating func insert(_ id: CallID, service: Int, route: Int, received: MonotonicTime) -> CallID {
    var id = id
    var index = Int(firstFree)
    if index >= 0 {
      firstFree = entries[index].nextFree
    } else {
      if used == capacity { grow() }
      index = used
      used += 1
    }
    id.entry = UInt32(truncatingIfNeeded: index)
    (entries + index).initialize(
      to: Entry(
        id: id, isLive: true, service: UInt16(truncatingIfNeeded: service), route: Int32(truncatingIfNeeded: route),
        received: received, nextFree: -1))
    count += 1
    return id
  }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<Entry>.allocate(capacity: 2 * capacity)
    larger.moveInitialize(from: entries, count: used)
    entries.deallocate()
    entries = larger
    capacity *= 2
  }

  /// Whether the call still waits for its answer.
  @inline(__always)
  func contains(_ id: CallID) -> Bool {
    let index = Int(id.entry)
    guard index < used, entries[index].isLive else { return false }
    // The rest of the id is the same for all calls of a reactor, or the entry's own number.
    let known = entries[index].id
    return known.stream == id.stream && known.connection == id.connection && known.generation == id.generation
  }

  /// Whether all calls of a run still wait for their answers.
  @inline(__always)
  func contains(_ run: CallRun) -> Bool {
    for index in 0..<run.count where !contains(run[index].pointee) { return false }
    return true
  }

  /// Takes a call out; nil when it is not there any more. The pointer is valid until the next `insert`.
  @inline(__always)
  mutating func remove(_ id: CallID) -> UnsafePointer<Entry>? {
    guard contains(id) else { return nil }
    return take(id)
  }

  /// Takes a call out that is there.
  @inline(__always)
  mutating func take(_ id: CallID) -> UnsafePointer<Entry> {
    let entry = entries + Int(id.entry)
    entry.pointee.isLive = false
    entry.pointee.nextFree = firstFree
    firstFree = Int32(bitPattern: id.entry)
    count -= 1
    return UnsafePointer(entry)
  }

  /// The calls of one connection, for its end.
  func calls(connection: UInt32, generation: UInt32) -> [Entry] {
    UnsafeBufferPointer(start: entries, count: used)
      .filter { $0.isLive && $0.id.connection == connection && $0.id.generation == generation }
  }
}
