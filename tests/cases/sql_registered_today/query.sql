SELECT "#user_id" FROM v_user_1 WHERE CAST(registered AS DATE) = current_date
