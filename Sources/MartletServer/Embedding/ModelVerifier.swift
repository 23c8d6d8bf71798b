import MartletRepository

/// Compares the answers of a model on disk with those that it should give, as the repository does at every load.
public typealias ModelVerifier = ModelVerification
