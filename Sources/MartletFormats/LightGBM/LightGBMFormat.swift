import MartletEngine

/// LightGBM: the text that `Booster.save_model` and `model_to_string` write, in versions v3 and v4.
///
/// Source: LightGBM 4.7, `src/boosting/gbdt_model_text.cpp` and `src/io/tree.cpp`; the format has no document.
enum LightGBMFormat: ModelFormat {
  static let name = "lightgbm"

  /// The first line of every file.
  static func recognizes(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.starts(with: "tree\n".utf8) || bytes.starts(with: "tree\r\n".utf8)
  }

  static func read(_ bytes: UnsafeRawBufferPointer) throws(ModelError) -> Graph {
    do {
      var reader = LightGBMReader(bytes)
      let model = try reader.read()
      return LightGBMGraph(model).graph()
    } catch {
      throw ModelError("LightGBM file, \(error.message)")
    }
  }
}

/// What a file says, checked: every index of a tree is one of its nodes, leaves or features.
struct LightGBMModel {
  var version = ""
  var features = 0
  var featureNames: [String] = []
  /// Margins of a row: trees of an iteration.
  var outputs = 1
  var objective = LightGBMObjective.none
  /// Whether the sums of a random forest are divided by the number of iterations.
  var averagesOutput = false
  var trees = LightGBMTrees()
  /// Features that the file calls categorical, in ascending order.
  var categoricalFeatures: [Int] = []
  /// Categories of the columns that were categorical in a table of pandas; empty when there were none.
  var pandasCategories: [PandasCategories] = []
}

/// The trees of all iterations, one behind the other.
struct LightGBMTrees {
  /// How a node reads its feature.
  struct Reading: Hashable {
    /// As in the file: what counts as missing.
    enum Mode: UInt8 {
      /// NaN is 0.
      case none
      /// Zero and NaN are missing.
      case zero
      /// NaN is missing.
      case nan
      /// The value is cut to a whole number.
      case category
    }

    var feature: Int32
    var mode: Mode
  }

  /// The trees without linear leaves; features are indices into `readings`.
  var ensemble = NativeEnsemble(precision: .double, outputs: 1, startsAt: [0])
  /// Each way in which any node reads a feature; the first of each feature, in ascending order, then further ones.
  var readings: [Reading] = []
  var linear = LightGBMLinearLeaves()
}

/// Linear functions in leaves, for all leaves of all trees; nothing when the file has none.
struct LightGBMLinearLeaves {
  /// Whether any tree has linear leaves. The lists below describe every tree then.
  var isPresent = false
  /// Where each tree's leaves begin in the lists by leaf, and their end.
  var firstLeaf: [Int32] = [0]
  var constants: [Double] = []
  /// What a leaf gives where a feature of its function is missing.
  var values: [Double] = []
  /// Where each leaf's coefficients begin, and their end.
  var firstCoefficient: [Int32] = [0]
  var coefficients: [Double] = []
  var features: [Int32] = []
}
