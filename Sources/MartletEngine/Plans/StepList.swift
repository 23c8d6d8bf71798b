import MartletCore

/// The operators of a plan in order: immutable, walked without reference counting.
///
/// `@unchecked Sendable`: written by its initializer only; the operators are Sendable.
final class StepList: @unchecked Sendable {
  /// An operator with its label and slots; -1 for an absent input or an unnamed output.
  struct Item {
    var run: AnyOperator
    var label: String
    /// Index of the graph's node; -1 for a step that stands for several.
    var node: Int
    var inputs: [Int32]
    var outputs: [Int32]
  }

  private struct Step {
    var run: Unmanaged<AnyOperator>
    /// Where the slots' indices begin: first the inputs, then the outputs.
    var first: Int
    var inputCount: Int
    var outputCount: Int
  }

  let count: Int
  private let steps: UnsafeMutablePointer<Step>
  private let slots: UnsafeMutablePointer<Int32>
  /// Keeps the operators that the steps refer to.
  private let operators: [AnyOperator]
  /// What messages call each step.
  private let labels: [String]

  init(_ items: [Item]) {
    count = items.count
    operators = items.map(\.run)
    labels = items.map(\.label)
    steps = .allocate(capacity: max(1, items.count))
    slots = .allocate(capacity: max(1, items.reduce(0) { $0 + $1.inputs.count + $1.outputs.count }))
    var next = 0
    for (index, item) in items.enumerated() {
      let step = Step(
        run: .passUnretained(item.run), first: next, inputCount: item.inputs.count, outputCount: item.outputs.count)
      (steps + index).initialize(to: step)
      for slot in item.inputs + item.outputs {
        (slots + next).initialize(to: slot)
        next += 1
      }
    }
  }

  /// What is said of the rows that encoders make.
  var encodings: [String] { operators.compactMap { ($0 as? EncodingStep)?.summary } }

  deinit {
    steps.deallocate()
    slots.deallocate()
  }

  /// Runs all operators on the slots of `scratch`; `texts` take the texts that operators make.
  ///
  /// Errors: an operator's, with its label before the message.
  func run(_ scratch: EngineScratch, texts: TextHeap, isPlanning: Bool = false) throws(Status) {
    for index in 0..<count {
      let step = steps[index]
      let context = RunContext(
        slots: scratch.slots, inputs: UnsafePointer(slots + step.first),
        outputs: UnsafePointer(slots + step.first + step.inputCount), inputCount: step.inputCount,
        outputCount: step.outputCount, texts: .passUnretained(texts), temporary: .passUnretained(scratch.temporary),
        budget: scratch.budget, isPlanning: isPlanning)
      defer { scratch.temporary.reset() }
      if let failure = run(step.run, context) {
        throw Status(failure.code, "\(labels[index]): \(failure.message)")
      }
    }
  }

  /// The operator is kept by `operators`, so neither retained nor released here.
  @inline(__always)
  private func run(_ step: Unmanaged<AnyOperator>, _ context: RunContext) -> Status? {
    step._withUnsafeGuaranteedRef { run in
      do throws(Status) {
        try run.run(context)
        return nil
      } catch {
        return error
      }
    }
  }
}
