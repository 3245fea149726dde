def test_tool(run, call):
    done = run('tools/analysis_tools/get_flops.py', 'configs/emim_sthv2.py')
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-3:] == [
        'one view    16 x 224 x 224 (T x H x W)',
        'parameters  21.42 M, without motion modules 21.28 M',
        'GMACs       84.9, without motion modules 109.4',
    ]
    wrong = (
        'tools/analysis_tools/get_flops.py',
        'configs/emim_sthv2.py',
        '--shape',
        '1',
        '32',
        '32',
    )
    done = call(*wrong)
    assert done.returncode == 1 and 'T of 2 or more' in done.stderr.splitlines()[-1]
