Bounds = tuple[float, float]

def solve(
    score: int,
    code: int,
    output: int,
    state: int,
    n: int,
    single: bool,
    weights: Bounds,
    target: float,
    epsilon: float,
    box: Bounds,
    output_bounds: Bounds,
    free_bounds: Bounds,
    /,
) -> tuple[tuple[float, float], float] | None: ...
def pull_back(
    gradient: int, state: int, by_score: int, n: int, single: bool, weights: tuple[float, float], /
) -> float: ...
