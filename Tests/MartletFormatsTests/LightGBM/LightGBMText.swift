import MartletEngine

@testable import MartletFormats

/// Small files in LightGBM's text, written by hand.
enum LightGBMText {
  /// Two iterations over two numbers and a category: missing values of each kind, and a set of two words.
  static let small = """
    tree
    version=v4
    num_class=1
    num_tree_per_iteration=1
    label_index=0
    max_feature_idx=2
    objective=regression
    feature_names=width height kind
    feature_infos=[0:9] [-3:3] 0:1:40
    tree_sizes=400 300

    Tree=0
    num_leaves=4
    num_cat=1
    split_feature=0 1 2
    split_gain=1 1 1
    threshold=2.5 -1 0
    decision_type=10 4 1
    left_child=1 -1 -2
    right_child=2 -3 -4
    leaf_value=0.125 10 100 1000.5
    leaf_weight=1 1 1 1
    leaf_count=1 1 1 1
    cat_boundaries=0 2
    cat_threshold=2 256
    is_linear=0
    shrinkage=1


    Tree=1
    num_leaves=1
    num_cat=0
    split_feature=
    threshold=
    decision_type=
    left_child=
    right_child=
    leaf_value=0.25
    is_linear=0
    shrinkage=0.1


    end of trees

    feature_importances:
    width=1

    parameters:
    [boosting: gbdt]
    [categorical_feature: 2]
    end of parameters

    pandas_categorical:null

    """

  /// `small` with `old`, which is there, replaced by `new`.
  static func small(_ old: String, _ new: String) -> String {
    let range = small.firstRange(of: old)!
    return small.replacingCharacters(in: range, with: new)
  }

  static func plan(_ text: String) throws -> LoadedModel {
    let bytes = Array(text.utf8)
    return try bytes.withUnsafeBytes {
      try ModelLoader.load(bytes: $0, planning: PlanningOptions(measuringNanoseconds: 0))
    }
  }

  /// Why `bytes` are refused; nil when they are not.
  static func refusal(_ bytes: [UInt8]) -> String? {
    do {
      _ = try bytes.withUnsafeBytes {
        try ModelLoader.load(bytes: $0, planning: PlanningOptions(measuringNanoseconds: 0))
      }
      return nil
    } catch {
      return "\(error)"
    }
  }

  static func refusal(_ text: String) -> String? { refusal(Array(text.utf8)) }
}

extension String {
  /// Without Foundation's method of that name.
  fileprivate func replacingCharacters(in range: Range<Index>, with text: String) -> String {
    var copy = self
    copy.replaceSubrange(range, with: text)
    return copy
  }
}
