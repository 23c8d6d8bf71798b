def handmade(w):
    pass
