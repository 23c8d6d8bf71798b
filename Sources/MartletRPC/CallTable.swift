import MartletCore

/// The calls of one reactor that have not been answered: a slab, so that a call is found by its id without a search.
struct CallTable {
  struct Entry {
    var id: CallID
    var isLive: Bool
    var service: UInt16
    var method: UInt16
    var received: MonotonicTime
    var nextFree: Int32
  }

  private var entries: [Entry] = []
  private var firstFree: Int32 = -1
  private(set) var count = 0

  /// Enters a call and returns its id with the entry filled in.
  mutating func insert(_ id: CallID, service: Int, method: Int, received: MonotonicTime) -> CallID {
    var id = id
    let index: Int
    if firstFree >= 0 {
      index = Int(firstFree)
      firstFree = entries[index].nextFree
    } else {
      index = entries.count
      entries.append(
        Entry(id: id, isLive: false, service: 0, method: 0, received: received, nextFree: -1))
    }
    id.entry = UInt32(index)
    entries[index] = Entry(
      id: id, isLive: true, service: UInt16(service), method: UInt16(method), received: received, nextFree: -1)
    count += 1
    return id
  }

  /// Whether the call still waits for its answer.
  func contains(_ id: CallID) -> Bool {
    let index = Int(id.entry)
    return index < entries.count && entries[index].isLive && entries[index].id == id
  }

  /// Takes a call out; nil when it is not there any more.
  mutating func remove(_ id: CallID) -> Entry? {
    guard contains(id) else { return nil }
    let index = Int(id.entry)
    let entry = entries[index]
    entries[index].isLive = false
    entries[index].nextFree = firstFree
    firstFree = Int32(index)
    count -= 1
    return entry
  }

  /// The calls of one connection, for its end.
  func calls(connection: UInt32, generation: UInt32) -> [Entry] {
    entries.filter { $0.isLive && $0.id.connection == connection && $0.id.generation == generation }
  }
}
