import MartletCore

/// Puts one step in place of a product with constant weights, the bias added to it and the rectifier behind.
enum DenseLayerRewrite: PlanRewrite {
  static func apply(_ items: [StepList.Item], _ context: RewriteContext) -> [StepList.Item]? {
    var readers: [Int32: [Int]] = [:]
    for (index, item) in items.enumerated() {
      for slot in item.inputs where slot >= 0 { readers[slot, default: []].append(index) }
    }
    var result = items
    var dropped: Set<Int> = []
    for index in items.indices {
      guard let layer = Layer(index, items, readers, context) else { continue }
      result[index] = layer.item
      dropped.formUnion(layer.absorbed)
    }
    let kept = result.indices.filter { !dropped.contains($0) }.map { result[$0] }
    return kept.contains { $0.node < 0 } ? kept : nil
  }
}

/// A product and what follows it.
private struct Layer {
  private(set) var item: StepList.Item
  /// The steps behind the product that this layer stands for.
  private(set) var absorbed: [Int] = []

  /// Larger matrices stay in the file's order: another copy of them would be too much.
  private static let maximumWeights = 1 << 20

  init?(_ index: Int, _ items: [StepList.Item], _ readers: [Int32: [Int]], _ context: RewriteContext) {
    let product = items[index]
    guard let node = context.node(product), node.domain.isEmpty, ["MatMul", "Gemm"].contains(node.opType),
      context.tail(Int(product.inputs[0]))?.count == 1,
      let weights = context.run.constants[Int(product.inputs[1])], weights.shape.rank == 2
    else { return nil }
    var isTransposed = false
    var bias: ConstantTensor?
    if node.opType == "Gemm" {
      guard (try? node.integer("transA", default: 0)) == 0, (try? node.float("alpha", default: 1)) == 1,
        (try? node.float("beta", default: 1)) == 1
      else { return nil }
      isTransposed = (try? node.integer("transB", default: 0)) != 0
      if product.inputs.count > 2, product.inputs[2] >= 0 {
        guard let constant = context.run.constants[Int(product.inputs[2])] else { return nil }
        bias = constant
      }
    }
    let depth = weights.shape[isTransposed ? 1 : 0]
    let columns = weights.shape[isTransposed ? 0 : 1]
    // Longer sums are made of parts.
    guard depth > 0, columns > 0, weights.count <= Self.maximumWeights,
      depth <= MatrixProduct.part(depth: depth, columns: columns),
      context.tail(Int(product.inputs[0])) == [depth], product.outputs.count == 1, product.outputs[0] >= 0,
      bias.map({ ElementRules.fits($0.shape, [columns]) }) ?? true
    else { return nil }
    var output = product.outputs[0]
    /// The only step that reads what the layer makes so far, when it is an `opType`.
    func next(_ opType: String) -> Int? {
      guard !context.outputs.contains(Int(output)), let own = readers[output], own.count == 1,
        let node = context.node(items[own[0]]), node.domain.isEmpty, node.opType == opType,
        items[own[0]].outputs.count == 1, items[own[0]].outputs[0] >= 0,
        context.tail(Int(items[own[0]].outputs[0])) == [columns]
      else { return nil }
      return own[0]
    }
    if bias == nil, let sum = next("Add"), items[sum].inputs.count == 2 {
      let other = items[sum].inputs[items[sum].inputs[0] == output ? 1 : 0]
      if let constant = context.run.constants[Int(other)], ElementRules.fits(constant.shape, [columns]) {
        bias = constant
        absorbed.append(sum)
        output = items[sum].outputs[0]
      }
    }
    var rectifies = false
    if let rectifier = next("Relu") {
      rectifies = true
      absorbed.append(rectifier)
      output = items[rectifier].outputs[0]
    }
    let step: AnyOperator
    switch context.type(Int(product.inputs[0])) {
    case .float32: step = Self.step(weights, isTransposed, bias, depth, columns, rectifies, Float.self)
    case .float64: step = Self.step(weights, isTransposed, bias, depth, columns, rectifies, Double.self)
    default: return nil
    }
    item = StepList.Item(
      run: step, label: product.label, node: -1, inputs: [product.inputs[0]], outputs: [output])
  }

  private static func step<T: FloatElement & BitwiseCopyable>(
    _ weights: ConstantTensor, _ isTransposed: Bool, _ bias: ConstantTensor?, _ depth: Int, _ columns: Int,
    _ rectifies: Bool, _: T.Type
  ) -> AnyOperator {
    var matrix = weights.array(of: T.self)
    if isTransposed {
      let given = matrix
      for k in 0..<depth {
        for column in 0..<columns { matrix[k * columns + column] = given[column * depth + k] }
      }
    }
    let addend = bias.map { bias in
      let values = bias.array(of: T.self)
      return values.count == 1 ? Array(repeating: values[0], count: columns) : values
    }
    return DenseLayerStep(weights: matrix, depth: depth, bias: addend, rectifies: rectifies)
  }
}
