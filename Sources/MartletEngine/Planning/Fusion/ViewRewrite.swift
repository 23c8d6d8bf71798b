import MartletCore

/// Takes out steps that give their input back as it is: `Identity`, `Dropout`, and casts and reshapes to what a value is
/// already.
enum ViewRewrite: PlanRewrite {
  static func apply(_ items: [StepList.Item], _ context: RewriteContext) -> [StepList.Item]? {
    var readers: [Int32: Int] = [:]
    for slot in items.flatMap(\.inputs) where slot >= 0 { readers[slot, default: 0] += 1 }
    var result: [StepList.Item] = []
    // Which value is read in place of another.
    var replaced: [Int32: Int32] = [:]
    var producers: [Int32: Int] = [:]
    for var item in items {
      item.inputs = item.inputs.map { replaced[$0] ?? $0 }
      if let (input, output) = view(item, context) {
        if !context.outputs.contains(Int(output)) {
          replaced[output] = input
          readers[input, default: 0] += readers[output, default: 0] - 1
          continue
        }
        // The graph's output is made by who made its input, when nobody else reads that.
        if readers[input] == 1, !context.outputs.contains(Int(input)), let producer = producers[input] {
          result[producer].outputs = result[producer].outputs.map { $0 == input ? output : $0 }
          producers[output] = producer
          continue
        }
      }
      for slot in item.outputs where slot >= 0 { producers[slot] = result.count }
      result.append(item)
    }
    return result.count < items.count ? result : nil
  }

  /// What a step reads and gives back; nil for one that does something.
  private static func view(_ item: StepList.Item, _ context: RewriteContext) -> (input: Int32, output: Int32)? {
    guard let node = context.node(item), node.domain.isEmpty, let input = item.inputs.first, input >= 0,
      let output = item.outputs.first, output >= 0, item.outputs.dropFirst().allSatisfy({ $0 < 0 }),
      item.inputs.dropFirst().allSatisfy({ $0 < 0 || context.run.constants[Int($0)] != nil }),
      context.run.constants[Int(input)] == nil, context.type(Int(input)) == context.type(Int(output)),
      let tail = context.tail(Int(input)), context.tail(Int(output)) == tail
    else { return nil }
    return ["Identity", "Dropout", "Cast", "Reshape", "Flatten"].contains(node.opType) ? (input, output) : nil
  }
}
