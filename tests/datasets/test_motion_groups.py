from mmaction_emim.datasets.motion_groups import flip_label_map, motion_groups, opposites

NAMES = [
    'Pulling something from right to left',
    'Pulling something right out of something',
    'Turning something upside down',
    'Moving something and something closer to each other',
    'Pretending to put something on a surface',
    'Closing something',
    'Pulling something from left to right',
    'Moving something and something away from each other',
    'Putting something on a surface',
    'Pretending to close something without actually closing it',
    'Moving something up',
    'Tearing something into two pieces',
    'Pretending to poke something',
    'Moving something down',
]


def test_groups_by_their_words():
    assert motion_groups(NAMES) == {
        'left/right': [0, 6],
        'up/down': [10, 13],
        'towards/away': [3, 7],
        'in/out': [1],
        'pretend': [4, 9, 12],
        'real': [5, 8],
    }
    assert motion_groups(['archery', 'bowling']) == {}


def test_opposites_and_what_a_mirror_swaps():
    assert opposites(NAMES) == [(0, 6), (3, 7), (4, 8), (5, 9), (10, 13)]
    assert flip_label_map(NAMES) == {0: 6, 6: 0}


def test_the_order_of_the_names_does_not_matter():
    pairs = {frozenset(NAMES[i] for i in pair) for pair in opposites(NAMES)}
    names = NAMES[::-1]
    assert {frozenset(names[i] for i in pair) for pair in opposites(names)} == pairs
