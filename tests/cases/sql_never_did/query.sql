SELECT "#user_id" FROM v_user_1 WHERE "#user_id" NOT IN (SELECT "#user_id" FROM v_event_1 WHERE "$part_date" > '2000' AND "$part_event" = 'pay')
