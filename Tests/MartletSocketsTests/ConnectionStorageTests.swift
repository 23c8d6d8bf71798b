import Glibc
import MartletCore
import Testing

@testable import MartletSockets

@Suite("Buffers and slab")
struct ConnectionStorageTests {
  @Test("a byte queue is a queue of bytes, whatever is added and taken", arguments: 0..<20)
  func queue(_ seed: Int) {
    var state = UInt64(seed) &* 7_919 &+ 1
    func random(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    let pool = BufferPool(maxRetainedBytes: 100_000)
    var queue = ByteQueue()
    var reference: [UInt8] = []
    for step in 0..<500 {
      if random(2) == 0 {
        let bytes = (0..<random(random(10) == 0 ? 30_000 : 300)).map { UInt8(truncatingIfNeeded: $0 &+ step) }
        bytes.withUnsafeBytes { queue.append($0, from: pool) }
        reference += bytes
      } else if !reference.isEmpty {
        let count = random(2) == 0 ? reference.count : random(reference.count)
        queue.removeFirst(count, to: pool)
        reference.removeFirst(count)
      }
      let (bytes, count, capacity) = (Array(queue.bytes), queue.count, queue.capacity)
      #expect(bytes == reference)
      #expect(count == reference.count)
      #expect(count > 0 || capacity == 0)
    }
    queue.removeAll(to: pool)
    let retained = pool.retainedBytes
    #expect(retained <= 100_000)
  }

  @Test("a buffer that was given back is rented again, up to the bound")
  func pool() {
    let pool = BufferPool(maxRetainedBytes: 16 << 10)
    let first = pool.rent(atLeast: 5_000)
    #expect(first.count == 8 << 10)
    pool.giveBack(first)
    var retained = pool.retainedBytes
    #expect(retained == 8 << 10)
    let again = pool.rent(atLeast: 8_192)
    #expect(again.baseAddress == first.baseAddress)
    let large = pool.rent(atLeast: 1 << 20)
    pool.giveBack(large)
    retained = pool.retainedBytes
    #expect(retained == 0)
    var rented = pool.rentedBytes
    #expect(rented == 8 << 10)
    pool.giveBack(first)
    rented = pool.rentedBytes
    #expect(rented == 0)
  }

  @Test("buffers that were not needed for a while go back to the allocator, those in use stay")
  func trimmedPool() {
    let pool = BufferPool()
    let burst = (0..<8).map { _ in pool.rent(atLeast: 512 << 10) }
    for buffer in burst { pool.giveBack(buffer) }
    var retained = pool.retainedBytes
    #expect(retained == 4 << 20)
    // The first look only begins to watch.
    pool.trim()
    let used = pool.rent(atLeast: 512 << 10)
    pool.giveBack(used)
    pool.trim()
    retained = pool.retainedBytes
    #expect(retained == 512 << 10)
    pool.trim()
    retained = pool.retainedBytes
    #expect(retained == 0)
    let small = (0..<100).map { _ in pool.rent(atLeast: 1) }
    for buffer in small { pool.giveBack(buffer) }
    pool.trim()
    pool.trim()
    retained = pool.retainedBytes
    #expect(retained == BufferPool.keptBytes)
  }

  @Test("a slot's next connection has another generation, and old handles find nothing")
  func slab() {
    let slab = ConnectionSlab(capacity: 2)
    func insert() -> ConnectionHandle {
      slab.insert(
        Connection(
          descriptor: FileDescriptor(owning: dup(0)),
          peer: PeerInfo(address: .unix(path: ""), listener: .unix(path: "")),
          limiter: nil, phase: .open, flags: [], now: MonotonicTime(nanoseconds: 1)))
    }
    /// Which of the handles find a connection, and how many connections there are.
    func found(_ handles: ConnectionHandle...) -> [Bool] { handles.map { slab[$0] != nil } }
    let first = insert()
    let second = insert()
    #expect(found(first, second) == [true, true])
    var state = (count: slab.count, isFull: slab.isFull, handles: slab.handles)
    #expect(state.count == 2 && state.isFull && state.handles == [first, second])
    _ = slab.remove(first)
    state = (count: slab.count, isFull: slab.isFull, handles: slab.handles)
    #expect(state.count == 1 && !state.isFull && state.handles == [second])
    #expect(found(first, second) == [false, true])
    let third = insert()
    #expect(third.slot == first.slot && third.generation != first.generation)
    let unused = ConnectionHandle(slot: 7, generation: 1)
    let between = ConnectionHandle(slot: first.slot, generation: first.generation + 1)
    #expect(found(first, second, third, unused, between) == [false, true, true, false, false])
  }

  @Test("a descriptor closes itself, unless it is given up")
  func descriptor() {
    let number = dup(0)
    do { _ = FileDescriptor(owning: number) }
    #expect(fcntl(number, F_GETFD) == -1)
    let other = dup(0)
    let released = FileDescriptor(owning: other).release()
    #expect(released == other)
    #expect(fcntl(other, F_GETFD) != -1)
    close(other)
  }
}
