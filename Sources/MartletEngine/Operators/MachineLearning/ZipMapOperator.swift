import MartletCore

/// `ZipMap`: scores with the names of their classes. Here the names are in the model's signature and the scores stay
/// the matrix `[rows, classes]` that they are.
final class ZipMapOperator: Operator {
  private let classes: Int

  init(_ node: GraphNode, context: PlanningContext) throws(ModelError) {
    try context.requireInputs(1...1, of: node)
    _ = try context.type(0, of: node, among: [.float32])
    classes = try ClassifierLabels(node, integers: "classlabels_int64s").count
    guard classes > 0 else {
      throw node.error("has neither classlabels_strings nor classlabels_int64s, expected one of them")
    }
  }

  func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    guard input.shape.last == classes, input.rank == 1 || input.rank == 2 else {
      throw Status(.invalidArgument, "input 0 has the shape \(input.shape), expected rows of \(classes) classes")
    }
    let rows = input.rank == 1 ? 1 : input.dim(0)
    context.output(0, viewing: input, Shape(rows, classes))
  }
}
