import MartletCore

/// Lets trees read what a cast between real numbers reads: they convert rows to their own precision as the cast does.
enum TreeCastRewrite: PlanRewrite {
  static func apply(_ items: [StepList.Item], _ context: RewriteContext) -> [StepList.Item]? {
    var readers: [Int32: Int] = [:]
    for slot in items.flatMap(\.inputs) where slot >= 0 { readers[slot, default: 0] += 1 }
    var casts: [Int32: Int] = [:]
    var result = items
    var dropped: Set<Int> = []
    for (index, item) in items.enumerated() {
      if let node = context.node(item), node.opType == "Cast", node.domain.isEmpty, item.outputs[0] >= 0 {
        casts[item.outputs[0]] = index
      }
      guard let trees = item.run as? any PostponedTrees, let cast = casts[item.inputs[0]],
        converts(items[cast], context, isSingle: trees.isSingle)
      else { continue }
      let slot = item.inputs[0]
      result[index].inputs[0] = items[cast].inputs[0]
      readers[slot, default: 0] -= 1
      if readers[slot] == 0, !context.outputs.contains(Int(slot)) { dropped.insert(cast) }
    }
    guard zip(result, items).contains(where: { $0.inputs != $1.inputs }) else { return nil }
    return result.indices.filter { !dropped.contains($0) }.map { result[$0] }
  }

  /// Whether trees of single precision, or of double, come to the same values without the cast.
  private static func converts(_ cast: StepList.Item, _ context: RewriteContext, isSingle: Bool) -> Bool {
    guard cast.inputs.count == 1, cast.inputs[0] >= 0, context.run.constants[Int(cast.inputs[0])] == nil else {
      return false
    }
    switch (context.type(Int(cast.inputs[0])), context.type(Int(cast.outputs[0]))) {
    case (.float32, .float64): return !isSingle
    case (.float64, .float32): return isSingle
    default: return false
    }
  }
}
