# How the clips of all data sets are opened and decoded.
open_video = dict(type='CheckedDecordInit')
decode_video = dict(type='DecordDecode')
