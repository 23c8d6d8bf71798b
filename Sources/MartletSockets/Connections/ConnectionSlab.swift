/// The connections of a reactor in numbered slots that never move, found by handle in constant time.
///
/// A slot's generation counts up when it is filled and when it is emptied, so it is odd while there is a connection and a
/// handle of an earlier one never fits. The whole capacity is reserved at once and touched only as far as it was ever
/// used. Not `Sendable`: belongs to its reactor's thread.
struct ConnectionSlab: ~Copyable {
  private struct Header {
    /// Slots that were ever used: below it generations are initialised.
    var used = 0
    var freeCount = 0
  }

  let capacity: Int
  private let slots: UnsafeMutablePointer<Connection>
  private let generations: UnsafeMutablePointer<UInt32>
  /// Emptied slots, the last one first.
  private let free: UnsafeMutablePointer<UInt32>
  private let header: UnsafeMutablePointer<Header>

  init(capacity: Int) {
    // The highest slot number stays unused: it marks tokens that are not connections.
    self.capacity = min(max(1, capacity), Int(UInt32.max) - 1)
    slots = .allocate(capacity: self.capacity)
    generations = .allocate(capacity: self.capacity)
    free = .allocate(capacity: self.capacity)
    header = .allocate(capacity: 1)
    header.initialize(to: Header())
  }

  deinit {
    for slot in 0..<header.pointee.used where generations[slot] & 1 == 1 { (slots + slot).deinitialize(count: 1) }
    slots.deallocate()
    generations.deallocate()
    free.deallocate()
    header.deallocate()
  }

  /// Connections in it.
  var count: Int { header.pointee.used - header.pointee.freeCount }
  var isFull: Bool { count == capacity }

  /// Puts a connection into a free slot; there must be one.
  func insert(_ connection: consuming Connection) -> ConnectionHandle {
    let slot: Int
    if header.pointee.freeCount > 0 {
      header.pointee.freeCount -= 1
      slot = Int(free[header.pointee.freeCount])
    } else {
      precondition(header.pointee.used < capacity, "the slab is full")
      slot = header.pointee.used
      header.pointee.used += 1
      (generations + slot).initialize(to: 0)
    }
    (slots + slot).initialize(to: connection)
    generations[slot] &+= 1
    return ConnectionHandle(slot: UInt32(slot), generation: generations[slot])
  }

  /// The connection that `handle` names; nil when it is gone. The pointer is valid until `remove`.
  subscript(handle: ConnectionHandle) -> UnsafeMutablePointer<Connection>? {
    let slot = Int(handle.slot)
    guard slot < header.pointee.used, generations[slot] == handle.generation, handle.generation & 1 == 1 else {
      return nil
    }
    return slots + slot
  }

  /// Takes the connection out; the handle must be valid.
  func remove(_ handle: ConnectionHandle) -> Connection {
    let slot = Int(handle.slot)
    precondition(self[handle] != nil, "a removed connection was removed again")
    generations[slot] &+= 1
    free[header.pointee.freeCount] = handle.slot
    header.pointee.freeCount += 1
    return (slots + slot).move()
  }

  /// The connection of the largest weight, and the weight; nil without connections. Looks at every slot ever used.
  func heaviest(_ weight: (UnsafeMutablePointer<Connection>) -> Int) -> (handle: ConnectionHandle, weight: Int)? {
    var found: (slot: Int, weight: Int)?
    for slot in 0..<header.pointee.used where generations[slot] & 1 == 1 {
      let its = weight(slots + slot)
      if its > found?.weight ?? -1 { found = (slot, its) }
    }
    return found.map { (ConnectionHandle(slot: UInt32($0.slot), generation: generations[$0.slot]), $0.weight) }
  }

  /// The handles of all connections.
  var handles: [ConnectionHandle] {
    (0..<header.pointee.used).filter { generations[$0] & 1 == 1 }.map {
      ConnectionHandle(slot: UInt32($0), generation: generations[$0])
    }
  }
}
