def test_tool(run):
    done = run('tools/analysis_tools/get_flops.py', 'configs/emim_sthv2.py')
    assert done.returncode == 0, done.stderr
    assert '21.42 M' in done.stdout and 'GMACs       84.9' in done.stdout
    wrong = (
        'tools/analysis_tools/get_flops.py',
        'configs/emim_sthv2.py',
        '--shape',
        '1',
        '32',
        '32',
    )
    done = run(*wrong)
    assert done.returncode == 1 and 'T of 2 or more' in done.stderr.splitlines()[-1]
