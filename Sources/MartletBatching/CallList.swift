import MartletCore

/// The calls of a batch, one behind the other in memory of its own: an array would be checked for other owners at every
/// change, and several of them come with every call.
///
/// Belongs to its batch, which makes it and takes it apart; a copy is the same memory, so nobody else keeps one.
@frozen
public struct CallList: RandomAccessCollection, MutableCollection {
  @usableFromInline var start: UnsafeMutablePointer<BatchedCall>
  @usableFromInline var capacity: Int
  @usableFromInline var filled = 0

  init(capacity: Int) {
    self.capacity = capacity
    start = .allocate(capacity: capacity)
  }

  /// Ends the list, once.
  func deallocate() { start.deallocate() }

  @inlinable public var count: Int { filled }
  @inlinable public var startIndex: Int { 0 }
  @inlinable public var endIndex: Int { filled }

  @inlinable
  public subscript(index: Int) -> BatchedCall {
    @inline(__always) get {
      precondition(index >= 0 && index < filled, "a call that is not in the batch")
      return start[index]
    }
    @inline(__always) _modify {
      precondition(index >= 0 && index < filled, "a call that is not in the batch")
      yield &start[index]
    }
  }

  /// How many calls from `first` on are alike: scored and of one connection, with the same note and as many rows.
  @inlinable
  public func countAlike(from first: Int, to end: Int) -> Int {
    precondition(first >= 0 && first < end && end <= filled, "calls that are not in the batch")
    let model = start + first
    var next = model + 1
    while next < start + end, next.pointee.outcome == .scored,
      next.pointee.id.connection == model.pointee.id.connection,
      next.pointee.id.generation == model.pointee.id.generation, next.pointee.context == model.pointee.context,
      next.pointee.rows == model.pointee.rows
    {
      next += 1
    }
    return next - model
  }

  /// The ids of so many calls from `first` on, which are of one connection; lent until the list changes.
  @inlinable
  public func run(from first: Int, count: Int) -> CallRun {
    precondition(first >= 0 && count >= 0 && first + count <= filled, "calls that are not in the batch")
    let id = UnsafeRawPointer(start + first) + MemoryLayout<BatchedCall>.offset(of: \.id).unsafelyUnwrapped
    return CallRun(
      first: id.assumingMemoryBound(to: CallID.self), stride: MemoryLayout<BatchedCall>.stride, count: count)
  }

  @inline(__always)
  mutating func append(_ call: BatchedCall, firstRow: Int) {
    append(call)
    start[filled - 1].firstRow = firstRow
  }

  @inline(__always)
  mutating func append(_ call: BatchedCall) {
    if filled == capacity { grow() }
    (start + filled).initialize(to: call)
    filled += 1
  }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<BatchedCall>.allocate(capacity: 2 * capacity)
    larger.moveInitialize(from: start, count: filled)
    start.deallocate()
    start = larger
    capacity *= 2
  }

  /// Forgets the calls; one large batch must not hold its memory for ever.
  mutating func removeAll() {
    filled = 0
    guard capacity > 4096 else { return }
    start.deallocate()
    capacity = 64
    start = .allocate(capacity: capacity)
  }
}
