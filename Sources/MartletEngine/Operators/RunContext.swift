import MartletCore

/// What an operator sees of a call: its inputs, its outputs and memory for the time it runs.
///
/// Valid until `run` returns. Plain pointers, so that passing it costs no reference counting; the plan keeps all of
/// them alive during the call.
struct RunContext {
  /// The most elements of one tensor; bounds what a hostile model can make a call allocate.
  static let maximumElements = 1 << 26

  let slots: UnsafeMutablePointer<TensorSlot>
  /// Indices into `slots`; -1 for an optional input that is absent.
  let inputs: UnsafePointer<Int32>
  /// Indices into `slots`; -1 for an output that nobody reads.
  let outputs: UnsafePointer<Int32>
  let inputCount: Int
  let outputCount: Int
  let texts: Unmanaged<TextHeap>
  let temporary: Unmanaged<TemporaryMemory>
  /// Bytes that outputs may still grow by.
  let budget: UnsafeMutablePointer<Int>
  /// Whether this is the planning run, whose rows are made up: a value that an operator would refuse is let through.
  let isPlanning: Bool

  /// Input `index`, which the operator's `init` has found to be there.
  func input(_ index: Int) -> Tensor {
    assert(index < inputCount && inputs[index] >= 0)
    return Tensor(slot: slots + Int(inputs[index]))
  }

  /// Input `index`, or nil when it is absent.
  func optionalInput(_ index: Int) -> Tensor? {
    guard index < inputCount, inputs[index] >= 0 else { return nil }
    return Tensor(slot: slots + Int(inputs[index]))
  }

  /// Whether anybody reads output `index`; one that nobody reads has no slot. True for the output of an operator that
  /// has only one.
  func wants(_ index: Int) -> Bool { index < outputCount && outputs[index] >= 0 }

  /// Makes output `index` a tensor of `type` and `shape` with undefined contents, to be filled by the operator.
  ///
  /// Errors: INVALID_ARGUMENT when a size is negative or the tensor is larger than a call may make.
  func output(_ index: Int, _ type: ElementType, _ shape: Shape) throws(Status) -> Tensor {
    assert(wants(index))
    guard let elements = shape.checkedElements, elements <= RunContext.maximumElements else {
      throw Status(
        .invalidArgument, "output \(index) would have the shape \(shape), which is not possible or too large")
    }
    let slot = slots + Int(outputs[index])
    let growth = slot.pointee.growth(for: elements * type.byteWidth)
    if growth > 0 {
      guard growth <= budget.pointee else {
        throw Status(.resourceExhausted, "output \(index) of shape \(shape) needs more memory than a call may take")
      }
      budget.pointee -= growth
    }
    slot.pointee.reserve(type, shape)
    return Tensor(slot: slot)
  }

  /// Makes output `index` the same memory as `input`, seen with another shape of as many elements.
  func output(_ index: Int, viewing input: Tensor, _ shape: Shape) {
    assert(wants(index) && shape.elements == input.count)
    slots[Int(outputs[index])].alias(input.type, shape, at: input.bytes)
  }

  /// Runs `body`, whose refusal of a value is passed over in the planning run: the rows are made up.
  @inline(__always)
  func refusing(_ body: () throws(Status) -> Void) throws(Status) {
    do {
      try body()
    } catch {
      guard isPlanning, error.code == .invalidArgument else { throw error }
    }
  }

  /// Copies a text that the operator has made to where it lives as long as the rows.
  func makeText(_ bytes: UnsafeRawBufferPointer) -> TextRef {
    texts._withUnsafeGuaranteedRef { $0.store(bytes) }
  }

  /// Uninitialized memory for `count` elements until the operator returns.
  func temporary<T: BitwiseCopyable>(_ count: Int, of type: T.Type = T.self) -> UnsafeMutablePointer<T> {
    temporary._withUnsafeGuaranteedRef { $0.reserve(count * MemoryLayout<T>.stride) }
      .bindMemory(to: T.self, capacity: count)
  }
}

/// Memory that an operator uses while it runs, reused by the next one.
final class TemporaryMemory {
  private var chunks: [UnsafeMutableRawBufferPointer] = []
  private var current = 0
  private var used = 0
  /// Bytes of all chunks.
  private(set) var bytes = 0

  deinit { drop() }

  /// Frees all memory, which nobody may use any more.
  func drop() {
    for chunk in chunks { chunk.deallocate() }
    chunks = []
    bytes = 0
    reset()
  }

  func reserve(_ bytes: Int) -> UnsafeMutableRawPointer {
    let size = (bytes + 63) & ~63
    while current < chunks.count, used + size > chunks[current].count {
      current += 1
      used = 0
    }
    if current == chunks.count {
      chunks.append(.allocate(byteCount: max(size, 16 << 10), alignment: 64))
      self.bytes += chunks[current].count
      used = 0
    }
    defer { used += size }
    return chunks[current].baseAddress.unsafelyUnwrapped + used
  }

  func reset() {
    current = 0
    used = 0
  }
}
