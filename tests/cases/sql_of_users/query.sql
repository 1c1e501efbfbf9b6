SELECT "#user_id" FROM ta.v_user_1 WHERE level >= 3 AND vip
