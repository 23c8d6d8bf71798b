import MartletCore

/// A plan's memory of one thread: a slot for each value, whose buffers are reused over calls.
final class EngineScratch: PlanScratch {
  /// The most bytes that the values of one call may take.
  static let maximumBytes = 512 << 20

  let slots: UnsafeMutablePointer<TensorSlot>
  let count: Int
  let temporary = TemporaryMemory()
  /// Bytes that the slots may still grow by.
  let budget: UnsafeMutablePointer<Int>
  private let initialBudget: Int
  /// Keeps what slots point to, should the scratch outlive its plan.
  private let constants: [(slot: Int, tensor: ConstantTensor)]

  init(slots count: Int, constants: [(slot: Int, tensor: ConstantTensor)], budget bytes: Int = maximumBytes) {
    self.count = count
    self.constants = constants
    initialBudget = bytes
    slots = .allocate(capacity: max(1, count))
    slots.initialize(repeating: .empty, count: count)
    budget = .allocate(capacity: 1)
    budget.initialize(to: bytes)
    for (slot, tensor) in constants { slots[slot].alias(tensor.type, tensor.shape, at: tensor.memory) }
    super.init()
  }

  deinit {
    for index in 0..<count { slots[index].free() }
    slots.deallocate()
    budget.deallocate()
  }

  override var bytes: Int { temporary.bytes + initialBudget - budget.pointee }

  override func drop() {
    temporary.drop()
    for index in 0..<count { slots[index].free() }
    budget.pointee = initialBudget
  }
}
