import MartletEngine
import Testing

@Suite struct TreesOnlyTests {
  private func isTreesOnly(_ nodes: (String, String)...) -> Bool {
    Graph(
      inputs: [], outputs: [],
      nodes: nodes.map { GraphNode(opType: $0.0, domain: $0.1, opset: 1, inputs: [], outputs: []) }
    ).isTreesOnly
  }

  @Test("a graph is trees alone when what is around them only moves values, picks labels or is the booster's own")
  func graphs() {
    let ml = "ai.onnx.ml"
    let own = "ai.martlet"
    #expect(isTreesOnly(("TreeEnsembleClassifier", ml)))
    #expect(isTreesOnly(("Concat", ""), ("TreeEnsembleRegressor", ml), ("Reshape", ""), ("ZipMap", ml)))
    #expect(isTreesOnly(("LightGBMInput", own), ("TreeEnsemble", own), ("LightGBMClassifier", own)))
    #expect(!isTreesOnly())
    #expect(!isTreesOnly(("Identity", "")))
    #expect(!isTreesOnly(("LightGBMInput", own)))
    #expect(!isTreesOnly(("Scaler", ml), ("TreeEnsembleClassifier", ml)))
    #expect(!isTreesOnly(("TreeEnsembleRegressor", ml), ("Exp", "")))
    #expect(!isTreesOnly(("XGBoostLinear", own), ("XGBoostOutput", own)))
    #expect(!isTreesOnly(("TreeEnsemble", own), ("LightGBMLinearLeaves", own)))
  }
}
