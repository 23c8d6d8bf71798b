import MartletCore

/// Where operators that only move elements take each of them from, found out by running them on elements that carry
/// their own number. Confined to the thread that plans.
final class Movement {
  /// Operators whose first inputs may be rows and whose other inputs, if any, are constants.
  static let operators: Set<String> = [
    "Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Concat", "Split", "Gather",
    "ArrayFeatureExtractor", "Slice", "Transpose",
  ]

  /// An element of a row of one of the operator's inputs.
  struct Source {
    var input: Int
    var element: Int
  }

  private let scratch: EngineScratch
  /// What was found for a node.
  private var known: [Int: [[Source]?]?] = [:]

  init(_ run: PlanningRun) {
    scratch = EngineScratch(slots: run.slotCount, constants: run.constants.map { (slot: $0.key, tensor: $0.value) })
  }

  /// For each output that is used the source of every element of a row; nil where rows are not kept apart.
  func sources(_ item: StepList.Item, _ context: RewriteContext) -> [[Source]?]? {
    if let sources = known[item.node] { return sources }
    let sources = find(item, context)
    known[item.node] = .some(sources)
    return sources
  }

  private func find(_ item: StepList.Item, _ context: RewriteContext) -> [[Source]?]? {
    let run = context.run
    let rows = GraphPlanner.trialRows
    // The first tag of each input; tags count from 1, as zeros may come from elsewhere.
    var bounds: [(first: Int, width: Int, input: Int)] = []
    var next = 1
    var filled: [Int32: Int] = [:]
    for (index, slot) in item.inputs.enumerated() where slot >= 0 && run.constants[Int(slot)] == nil {
      if filled[slot] != nil { continue }
      guard let tail = context.tail(Int(slot)), context.type(Int(slot)).byteWidth >= 4 else { return nil }
      let width = tail.reduce(1, *)
      filled[slot] = index
      scratch.slots[Int(slot)].reserve(context.type(Int(slot)), Shape([rows] + tail))
      Self.tag(scratch.slots[Int(slot)], from: next, count: rows * width)
      bounds.append((next, width, index))
      next += rows * width
    }
    do {
      try StepList([item]).run(scratch, texts: TextHeap(), isPlanning: true)
    } catch {
      return nil
    }
    var result: [[Source]?] = []
    for slot in item.outputs {
      guard slot >= 0 else {
        result.append(nil)
        continue
      }
      guard let tail = context.tail(Int(slot)), scratch.slots[Int(slot)].shape == Shape([rows] + tail) else {
        return nil
      }
      let width = tail.reduce(1, *)
      var sources: [Source] = []
      for index in 0..<(rows * width) {
        let tag = Self.tag(scratch.slots[Int(slot)], at: index)
        guard let bound = bounds.last(where: { $0.first <= tag }), tag < next, bound.width > 0 else { return nil }
        let place = tag - bound.first
        // The same elements of every row, from the same row.
        guard place / bound.width == index / width else { return nil }
        let source = Source(input: bound.input, element: place % bound.width)
        if index < width {
          sources.append(source)
        } else if sources[index % width].input != source.input || sources[index % width].element != source.element {
          return nil
        }
      }
      result.append(sources)
    }
    return result
  }

  private static func tag(_ slot: TensorSlot, from first: Int, count: Int) {
    for index in 0..<count {
      let value = first + index
      switch slot.type.byteWidth {
      case 4: slot.base.assumingMemoryBound(to: UInt32.self)[index] = UInt32(truncatingIfNeeded: value)
      case 8: slot.base.assumingMemoryBound(to: UInt64.self)[index] = UInt64(value)
      default: slot.base.assumingMemoryBound(to: TextRef.self)[index] = TextRef(start: nil, count: value)
      }
    }
  }

  private static func tag(_ slot: TensorSlot, at index: Int) -> Int {
    switch slot.type.byteWidth {
    case 4: Int(slot.base.assumingMemoryBound(to: UInt32.self)[index])
    case 8: Int(truncatingIfNeeded: slot.base.assumingMemoryBound(to: UInt64.self)[index])
    default: slot.base.assumingMemoryBound(to: TextRef.self)[index].count
    }
  }
}
