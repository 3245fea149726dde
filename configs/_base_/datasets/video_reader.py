# How the clips of all data sets are opened and decoded.
open_video = dict(type='CheckedVideoInit')
decode_video = dict(type='DecordDecode')
